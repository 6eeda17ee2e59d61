/** The settings of a chat: its mode and its limits, which a person chooses. The state holds them. */

export interface Settings {
  /** Exactly the original server: a user is an IP address. */
  readonly strict: boolean;
  /** Symbols in a name. */
  readonly nameSymbolsMax: number;
  /** Symbols in a text. */
  readonly textSymbolsMax: number;
  /** Registered users. */
  readonly usersMax: number;
  /** Registered users of one IP address. In strict mode it is one, whatever stands here. */
  readonly usersPerAddressMax: number;
  /** Messages in a mailbox. */
  readonly mailboxMessagesMax: number;
  /** Messages in all mailboxes together. */
  readonly messagesMax: number;
  /** A user whom no connection held for this many hours is forgotten; 0: never. */
  readonly usersExpireH: number;
}

/** What a server has that is started without flags. */
export const DEFAULT_SETTINGS: Settings = {
  strict: false,
  nameSymbolsMax: 8,
  textSymbolsMax: 60,
  usersMax: 100_000,
  usersPerAddressMax: 1_000,
  mailboxMessagesMax: 1_000,
  messagesMax: 1_000_000,
  usersExpireH: 168,
};

const NAMES = Object.keys(DEFAULT_SETTINGS) as (keyof Settings)[];

/** The settings that stand among other options. */
export function settingsOf(options: Settings): Settings {
  return NAMES.reduce(
    (settings, name) => ({ ...settings, [name]: options[name] }),
    DEFAULT_SETTINGS,
  );
}

/** The names of the settings that differ. */
export function differences(one: Settings, other: Settings): (keyof Settings)[] {
  return NAMES.filter((name) => one[name] !== other[name]);
}
