import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { concat } from "@std/bytes";
import { describe, it } from "@std/testing/bdd";
import { parseServerOptions } from "../../lib/options.ts";
import { encodeFrames, splitFrames } from "../../lib/protocol/frame.ts";
import { encodeMistake } from "../../lib/protocol/reply_encoder.ts";
import { inspectReplies } from "../../lib/protocol/reply_inspector.ts";
import { RequestReader } from "../../lib/protocol/request_reader.ts";
import { quoted } from "../../lib/text/printable.ts";
import { ascii, EXAMPLES } from "./mistakes.ts";

function meanings(...texts: string[]): string[] {
  return inspectReplies(encodeFrames(texts)).map(({ meaning }) => meaning.replace("reply: ", ""));
}

/** What is wrong with the bytes of a server. */
function wrong(bytes: Uint8Array) {
  return inspectReplies(bytes).at(-1)!.mistake;
}

describe("inspectReplies()", () => {
  it("knows the reply to each command", () => {
    assertEquals(meanings("Hello, Al", "Message added to storage!", "pong"), [
      "done",
      "done",
      "done",
    ]);
    assertEquals(meanings("Every string is a frame: …"), ["the commands and limits"]);
  });

  it("knows a list of names and one of messages by their lengths", () => {
    assertEquals(meanings("2", "Al", "Bo"), ["the number of names", "name 1", "name 2"]);
    assertEquals(meanings("1", "Al", "hi", "pong"), [
      "the number of messages",
      "the sender of message 1",
      "the text of message 1",
      "done",
    ]);
    assertEquals(meanings("0", "1", "Al"), [
      "the number of messages, or of names",
      "the number of names",
      "name 1",
    ]);
  });

  it("marks a refusal, also in place of a count, with its code", () => {
    const [line] = inspectReplies(encodeFrames(["U aren't registered!"]));
    assertEquals(line!.meaning, "reply: refused");
    assertStringIncludes(line!.remark!.text, "not-registered");
  });

  it("says where a list may be of names or of messages", () => {
    const [count] = meanings("1", "Al", "pong");
    assertEquals(count, "the number of messages, or of names");
  });

  it("knows the replies by the commands, where they are given", () => {
    const lines = inspectReplies(
      encodeFrames(["Hello, Al", "1", "Al", "pong", "U aren't registered!", "7"]),
      ["register", "users", "ping", "receive"],
    );
    assertEquals(lines.map(({ meaning }) => meaning.replace("reply: ", "")), [
      "'register': done",
      "'users': the number of names",
      "name 1",
      "'ping': done",
      "'receive': refused",
      "the number of names",
      "the rest of a list, missing",
    ]);
    assertStringIncludes(lines[5]!.remark!.text, "no command is left");
    const [, missing] = inspectReplies(encodeFrames(["pong"]), ["ping", "users", "receive"]);
    assertEquals(missing!.mistake, {
      code: "no-reply",
      text: "The reply to 'users' is missing, and 1 more behind it",
    });
  });

  it("marks a text that is no reply", () => {
    assertEquals(inspectReplies(encodeFrames(["What?"]))[0]!.remark!.kind, "odd");
    const [command] = inspectReplies(encodeFrames(["register", "Al"]));
    assertStringIncludes(command!.remark!.text, "is the name of a command");
  });

  it("shows the explanation of a mistake in full", () => {
    for (const { bytes } of EXAMPLES) {
      const reader = new RequestReader(parseServerOptions([]));
      reader.feed(splitFrames(new Uint8Array(0), bytes, 4096));
      while (reader.next() !== undefined);
      if (!reader.isBegun) continue;
      const { mistake } = reader.judge(
        reader.suspicion === "impossible" ? "impossible" : "cut-off",
      );
      const { remark } = inspectReplies(
        encodeMistake({ ...mistake, dialect: "frame" }),
      )[0]!;
      assertEquals(remark, { kind: "refused", text: quoted(mistake.text) });
    }
  });

  it("says how much of a list or a frame is missing", () => {
    assertStringIncludes(wrong(encodeFrames(["3", "Al"]))!.text, "The count says 3");
    assertStringIncludes(
      wrong(encodeFrames(["pong"]).subarray(0, 6))!.text,
      "2 of 4 bytes of a frame",
    );
    assertStringIncludes(wrong(Uint8Array.of(4, 0))!.text, "2 of the 4 bytes of a length");
  });

  for (const dialect of ["big-endian", "line", "http"] as const) {
    it(`knows the last frame of a mistake in the dialect ${dialect}`, () => {
      const mistake = { code: "plain-text", rule: "Why.", text: "Why.", dialect } as const;
      const bytes = concat([encodeFrames(["pong"]), encodeMistake(mistake)]);
      assertEquals(wrong(bytes)!.code, dialect === "line" ? "plain-text" : dialect);
    });
  }

  it("covers each byte, in any bytes", () => {
    for (
      const bytes of [ascii("hello"), new Uint8Array(9).fill(0xff), encodeFrames(["9", "9", "9"])]
    ) {
      let end = 0;
      for (const { offset, size } of inspectReplies(bytes)) {
        assertEquals(offset, end);
        end += size;
      }
      assert(end === bytes.length);
    }
  });
});
