/** Makes the frames of replies. Pure. */
import { encodeFrame, encodeFrames } from "./frame.ts";
import { type Mail, type Reply, replyText, type UserList, type UserPart } from "./reply.ts";

/** The frames of a reply, one behind the other. */
export function encodeReply(reply: Reply): Uint8Array {
  return encodeFrames(replyTexts(reply));
}

/** The frames of replies, each by itself. Of a list of users only a part is in memory at a time. */
export function* framesOf(replies: readonly Reply[]): Iterable<Uint8Array> {
  for (const reply of replies) {
    for (const texts of reply.code === "users" ? listTexts(reply.users) : [replyTexts(reply)]) {
      for (const text of texts) yield encodeFrame(text);
    }
  }
}

/** The texts of the frames of a reply. */
export function replyTexts(reply: Reply): readonly string[] {
  switch (reply.code) {
    case "users":
      return [...listTexts(reply.users)].flat();
    case "mail":
      return mailTexts(reply.mail(), reply.count);
    case "help":
      return [reply.text()];
    case "mistake":
      return [reply.mistake.text];
    default:
      return [replyText(reply)];
  }
}

/** The texts of a list of users: their number, then the names of each part. */
function* listTexts(users: UserList): Iterable<readonly string[]> {
  yield [countText(users)];
  for (const part of users.parts()) yield namesOf(part);
}

/** The text in front of the names of a list. */
export function countText({ size }: UserList): string {
  return String(size);
}

/** The names of the users of a part. */
export function namesOf(part: UserPart): string[] {
  const names: string[] = [];
  for (const user of part) if (user !== undefined) names.push(user.name);
  return names;
}

function mailTexts(mail: readonly Mail[], count: number): readonly string[] {
  const texts = [String(count)];
  for (const { from, text } of mail) texts.push(from, text);
  return texts;
}
