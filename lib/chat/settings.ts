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
  /**
   * The most registered users of one IPv4 address or /64 of IPv6; 0: a tenth of `usersMax`. Strict
   * mode allows one for each address, and ignores this.
   */
  readonly usersPerAddressMax: number;
  /** The most messages in a mailbox. */
  readonly mailboxMessagesMax: number;
  /**
   * The most messages of `sendall` among these; 0: all but a tenth of `mailboxMessagesMax`. Strict
   * mode ignores it.
   */
  readonly mailboxBroadcastsMax: number;
  /** The most messages that wait. One of `sendall` counts once, in however many mailboxes it waits. */
  readonly messagesMax: number;
  /**
   * The most of these from one IPv4 address or /64 of IPv6; 0: a tenth of `messagesMax`. Strict mode
   * ignores it.
   */
  readonly messagesPerAddressMax: number;
  /** A user without a connection is forgotten after this many hours; 0: never. */
  readonly usersExpireH: number;
}

/** The settings of a server that is started without flags. */
export const DEFAULT_SETTINGS: Settings = {
  strict: false,
  nameSymbolsMax: 8,
  textSymbolsMax: 60,
  usersMax: 100_000,
  usersPerAddressMax: 0,
  mailboxMessagesMax: 1_000,
  mailboxBroadcastsMax: 0,
  messagesMax: 1_000_000,
  messagesPerAddressMax: 0,
  usersExpireH: 168,
};

/** A share is at least this large where no flag says less. */
const SHARE_MIN = 10;

/** The most that one network of addresses may have of `whole`: `given`, or a tenth where that is 0. */
export function shareMax(whole: number, given: number): number {
  return given === 0 ? Math.max(SHARE_MIN, Math.ceil(whole / 10)) : given;
}

/** The most users of one network of addresses in default mode. */
export function usersShare({ usersMax, usersPerAddressMax }: Settings): number {
  return shareMax(usersMax, usersPerAddressMax);
}

/** The most waiting messages of one network of addresses. */
export function mailShare({ strict, messagesMax, messagesPerAddressMax }: Settings): number {
  return strict ? Infinity : shareMax(messagesMax, messagesPerAddressMax);
}

/** The limits of each mailbox. */
export function mailboxLimits(settings: Settings): { messages: number; broadcasts: number } {
  const { strict, mailboxMessagesMax: messages, mailboxBroadcastsMax } = settings;
  if (strict) return { messages, broadcasts: messages };
  return { messages, broadcasts: mailboxBroadcastsMax || messages - Math.floor(messages / 10) };
}

const NAMES = Object.keys(DEFAULT_SETTINGS) as (keyof Settings)[];

/** The settings among the options of a server. */
export function settingsOf(options: Settings): Settings {
  return NAMES.reduce((all, name) => ({ ...all, [name]: options[name] }), DEFAULT_SETTINGS);
}

/** The names of the settings that differ between two chats. */
export function differences(one: Settings, other: Settings): (keyof Settings)[] {
  return NAMES.filter((name) => one[name] !== other[name]);
}
