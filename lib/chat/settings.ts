/** The rules of a chat that a person chooses: its mode and its limits. They are part of its state. */
export interface Settings {
  /** Exactly the original: a user is an IP address. */
  readonly strict: boolean;
  readonly nameSymbolsMax: number;
  readonly textSymbolsMax: number;
  readonly usersMax: number;
  /** Default mode only; in strict mode it is one. */
  readonly usersPerAddressMax: number;
  readonly mailboxMessagesMax: number;
  /** In all mailboxes together. */
  readonly messagesMax: number;
  /** A user whom nobody held for so many hours is forgotten; 0: never. */
  readonly usersExpireH: number;
}

/** Are these the same rules? */
export function isSame(one: Settings, other: Settings): boolean {
  return differences(one, other).length === 0;
}

/** The names of what differs. */
export function differences(one: Settings, other: Settings): (keyof Settings)[] {
  const names = Object.keys(one) as (keyof Settings)[];
  return names.filter((name) => one[name] !== other[name]);
}
