/** Makes the frames of replies. Pure. */
import { concat } from "@std/bytes";
import { encodeFrame, encodeFrames, LENGTH_BYTES } from "./frame.ts";
import type { Mistake } from "./mistakes/finding.ts";
import { type Mail, type Reply, replyText, type UserList, type UserPart } from "./reply.ts";

const encoder = new TextEncoder();

/** The frames of a reply, one behind the other; of a mistake the last frame, in its dialect. */
export function encodeReply(reply: Reply): Uint8Array {
  return reply.code === "mistake" ? encodeMistake(reply.mistake) : encodeFrames(replyTexts(reply));
}

/** The explanation of a mistake as the client that made it reads it. */
export function encodeMistake({ text, dialect }: Mistake): Uint8Array {
  const line = `${text}\n`;
  switch (dialect) {
    case "frame":
      return encodeFrame(text);
    case "big-endian": {
      const frame = encodeFrame(text);
      frame.subarray(0, LENGTH_BYTES).reverse();
      return frame;
    }
    case "line":
      return encoder.encode(line);
    case "http": {
      const body = encoder.encode(line);
      const head = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n" +
        `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
      return concat([encoder.encode(head), body]);
    }
  }
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
