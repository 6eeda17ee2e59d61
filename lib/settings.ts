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
}
