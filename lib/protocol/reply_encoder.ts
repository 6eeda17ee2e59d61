/** Makes the frames of replies. Pure. */
import { encodeFrame, encodeFrames } from "./frame.ts";
import { type Mail, type Reply, replyText, type UserList } from "./reply.ts";

/** The frames of a reply, one behind the other. */
export function encodeReply(reply: Reply): Uint8Array {
  return encodeFrames(replyTexts(reply));
}

/** The frames of replies, each by itself. */
export function* framesOf(replies: readonly Reply[]): Iterable<Uint8Array> {
  for (const reply of replies) {
    for (const text of replyTexts(reply)) yield encodeFrame(text);
  }
}

/** The texts of the frames of a reply. */
export function replyTexts(reply: Reply): readonly string[] {
  switch (reply.code) {
    case "users":
      return namesTexts(reply.users);
    case "mail":
      return mailTexts(reply.mail(), reply.count);
    case "help":
      return [reply.text];
    case "mistake":
      return [reply.mistake.text];
    default:
      return [replyText(reply)];
  }
}

function namesTexts(users: UserList): readonly string[] {
  const texts = [String(users.size)];
  for (const { name } of users.values()) texts.push(name);
  return texts;
}

function mailTexts(mail: readonly Mail[], count: number): readonly string[] {
  const texts = [String(count)];
  for (const { from, text } of mail) texts.push(from, text);
  return texts;
}
