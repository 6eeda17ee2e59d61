/** The settings of a chat: its mode and its limits. Flags set them, and the state holds them. */
export interface Settings {
  /** Behave exactly as the original server: a user is an IP address. */
  readonly strict: boolean;
  /** The most symbols in a name. */
  readonly nameSymbolsMax: number;
  /** The most symbols in a text. */
  readonly textSymbolsMax: number;
  /** The most registered users. */
  readonly usersMax: number;
  /** The most registered users of one IP address. Strict mode allows one, and ignores this. */
  readonly usersPerAddressMax: number;
  /** The most messages in a mailbox. */
  readonly mailboxMessagesMax: number;
  /** The most messages in all mailboxes together. */
  readonly messagesMax: number;
  /** A user without a connection is forgotten after this many hours; 0: never. */
  readonly usersExpireH: number;
}

/** The settings of a server that is started without flags. */
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

/** The settings among the options of a server. */
export function settingsOf(options: Settings): Settings {
  return NAMES.reduce((all, name) => ({ ...all, [name]: options[name] }), DEFAULT_SETTINGS);
}

/** The names of the settings that differ between two chats. */
export function differences(one: Settings, other: Settings): (keyof Settings)[] {
  return NAMES.filter((name) => one[name] !== other[name]);
}
