/** The answers of an engine. */
import type { Answers } from "../../lib/engine/session.ts";

/** The answers to all items, when the last of them have come. */
export async function allOf(first: Promise<Answers>): Promise<Answers> {
  const { rest, ...answers } = await first;
  if (rest === undefined) return answers;
  const { replies, ...last } = await allOf(rest);
  return { ...last, replies: [...answers.replies, ...replies] };
}
