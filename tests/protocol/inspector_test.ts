import { assert, assertEquals, assertMatch } from "@std/assert";
import { concat } from "@std/bytes";
import { describe, it } from "@std/testing/bdd";
import { encodeFrame, encodeFrames, splitFrames } from "../../lib/protocol/frame.ts";
import {
  type InspectorOptions,
  type Line,
  replyLines,
  RequestInspector,
  SYMBOLS_MAX,
} from "../../lib/protocol/inspector.ts";
import { MISTAKE_CODES } from "../../lib/protocol/mistake.ts";
import { parseServerOptions } from "../../lib/options.ts";
import { IntMap } from "../../lib/chat/persistent.ts";
import { REFUSALS, type Reply } from "../../lib/protocol/reply.ts";
import { encodeReply, replyTexts } from "../../lib/protocol/reply_encoder.ts";
import { makeStream } from "../harness/fuzz/streams.ts";
import { ascii, EXAMPLES, MAIL_IN_A_MISTAKE, REGISTER } from "./mistakes.ts";
import { wholeBelow, withSeed } from "../random.ts";

const HIDING: InspectorOptions = { ...parseServerOptions([]), showTexts: false };
const SHOWING: InspectorOptions = { ...HIDING, showTexts: true };

/** The lines of a stream that arrives in these chunks and ends. */
function inspect(chunks: readonly Uint8Array[], options = SHOWING, offset = 0): Line[] {
  const inspector = new RequestInspector(options, offset);
  const lines: Line[] = [];
  let rest: Uint8Array = new Uint8Array(0);
  for (const chunk of chunks) {
    // The server reuses the memory of a chunk, too.
    const memory = chunk.slice();
    const split = splitFrames(rest, memory, options.frameBytesMax);
    lines.push(...inspector.feed(split));
    memory.fill(0xff);
    rest = split.rest;
  }
  return [...lines, ...inspector.breakOff("cut-off")];
}

/** The chunks of a stream that arrives in one, byte by byte, and in two cut at every position. */
function inAnyChunks(bytes: Uint8Array): Uint8Array[][] {
  const halves = Array.from(bytes, (_, at) => [bytes.subarray(0, at), bytes.subarray(at)]);
  return [[bytes], Array.from(bytes, (byte) => Uint8Array.of(byte)), ...halves];
}

function meanings(bytes: Uint8Array, options = SHOWING): string[] {
  return inspect([bytes], options).map(({ meaning }) => meaning);
}

/** A line without the fields of a mistake that depend on the bytes that arrived behind it. */
function withoutRest({ size: _size, hex, text: _text, mistake, ...line }: Line) {
  return { ...line, hex: mistake === undefined ? hex : hex.slice(0, 2), code: mistake?.code };
}

const CONVERSATION = encodeFrames(
  ["register", "Вася", "users", "send", "Вася", "Hello", "wait", "0.5", "sendall", "", "receive"],
);

describe("RequestInspector", () => {
  it("describes each frame: offset, bytes, text and meaning", () => {
    assertEquals(inspect([encodeFrames(["ping", "send", "Bob", "Hi"])]), [
      {
        offset: 0,
        size: 8,
        hex: "04 00 00 00 70 69 6e 67",
        text: '"ping"',
        meaning: "the command 'ping'",
      },
      {
        offset: 8,
        size: 8,
        hex: "04 00 00 00 73 65 6e 64",
        text: '"send"',
        meaning: "the command 'send'",
      },
      {
        offset: 16,
        size: 7,
        hex: "03 00 00 00 42 6f 62",
        text: '"Bob"',
        meaning: "the receiver of 'send'",
      },
      {
        offset: 23,
        size: 6,
        hex: "02 00 00 00 48 69",
        text: '"Hi"',
        meaning: "the text of 'send'",
      },
    ]);
  });

  it("names the arguments of each command", () => {
    assertEquals(meanings(CONVERSATION), [
      "the command 'register'",
      "the name of 'register'",
      "the command 'users'",
      "the command 'send'",
      "the receiver of 'send'",
      "the text of 'send'",
      "the command 'wait'",
      "the seconds of 'wait'",
      "the command 'sendall'",
      "the text of 'sendall'",
      "the command 'receive'",
    ]);
  });

  it("hides the text of a mail, but shows its length", () => {
    const [, , text] = inspect([encodeFrames(["send", "Bob", "Hello"])], HIDING);
    assertEquals(text, {
      offset: 15,
      size: 9,
      hex: "05 00 00 00",
      text: "",
      meaning: "the text of 'send', hidden",
    });
  });

  it("shows at most 64 bytes in hex and 60 symbols of a text", () => {
    const [, long] = inspect([encodeFrames(["sendall", "👍".repeat(61)])]);
    assertEquals(long!.size, 248);
    assertEquals(long!.hex, "f4 00 00 00" + " f0 9f 91 8d".repeat(15) + " ...");
    assertEquals(long!.text, `"${"👍".repeat(SYMBOLS_MAX)}..."`);
  });

  it("shows bytes that are not UTF-8 as U+FFFD, and escapes controls", () => {
    const [, name] = inspect([encodeFrames(["register", Uint8Array.of(0x1b, 0xff)])]);
    assertEquals(name!.text, '"\\u001b\ufffd"');
  });

  /** The remarks of a stream, each behind the meaning of its line. */
  function remarks(payloads: (string | Uint8Array)[], options = SHOWING): string[] {
    return inspect([encodeFrames(payloads)], options).flatMap(({ meaning, remark }) =>
      remark === undefined ? [] : [`${meaning}; ${remark.kind}: ${remark.text}`]
    );
  }

  it("says on the line of the last argument why the command is refused", () => {
    const bad = Uint8Array.of(0xff);
    const refused = [
      [["send", bad, "Hi"], "the text of 'send'", "Can't decode receiver! It is not UTF-8."],
      [["send", "Al", bad], "the text of 'send'", "Can't decode message! It is not UTF-8."],
      [["wait", "soon"], "the seconds of 'wait'", "Bad number of seconds!"],
      [["register", ""], "the name of 'register'", "Bad login!"],
      [["register", "ninechars"], "the name of 'register'", "Login is too long!"],
      [
        ["sendall", "x".repeat(61)],
        "the text of 'sendall'",
        "Massage is too long! Max length = 60!",
      ],
    ] as const;
    for (const [payloads, meaning, reply] of refused) {
      assertEquals(remarks([...payloads]), [`${meaning}; refused: the reply is ${reply}`]);
    }
  });

  it("knows the limits that it is given", () => {
    const limits = { ...SHOWING, nameSymbolsMax: 9, textSymbolsMax: 61 };
    assertEquals(remarks(["register", "ninechars", "sendall", "x".repeat(61)], limits), []);
  });

  it("reads nothing behind a refusal with which strict mode closes", () => {
    const strict = { ...SHOWING, strict: true };
    const bytes = encodeFrames(["register", "", "users"]);
    const lines = inspect([bytes], strict);
    assertEquals(lines.map(({ remark }) => remark?.text), [
      undefined,
      "the reply is Bad login!, and then the server closes the connection",
    ]);
    assertEquals(remarks(["send", "Al", Uint8Array.of(0xff)], strict), [
      "the text of 'send'; refused: the server closes the connection without a word",
    ]);
  });

  it("knows that who has logged out is not registered, until a name is registered", () => {
    const refusal = "refused: the reply is U aren't registered!";
    assertEquals(
      remarks(["logout", "send", "Al", "hi", "sendall", "hi", "receive", "wait", "1", "users"]),
      ["text of 'send'", "text of 'sendall'", "command 'receive'", "seconds of 'wait'"].map(
        (role) => `the ${role}; ${refusal}`,
      ),
    );
    assertEquals(remarks(["logout", "register", "Al", "receive"]), []);
    assertEquals(remarks(["logout", "register", "ninechars", "receive"]), [
      "the name of 'register'; refused: the reply is Login is too long!",
      `the command 'receive'; ${refusal}`,
    ]);
    assertEquals(remarks(["receive"]), [], "the connection may act as the user of its address");
    assertEquals(remarks(["logout", "receive"], { ...SHOWING, strict: true }), []);
  });

  it("hides a mail that an unfinished name has swallowed, after each of its bytes", () => {
    const mail = encodeFrames(["send", "Al", "SECRET"]);
    const bytes = encodeFrames(["register", concat([ascii("Bob"), mail])]);
    for (let length = 1; length < bytes.length; length++) {
      const inspector = new RequestInspector(HIDING);
      inspector.feed(splitFrames(new Uint8Array(0), bytes.subarray(0, length), 4096));
      assert(!/"[^"]*S"|53/.test(JSON.stringify(inspector.partial ?? {})), `${length} bytes`);
    }
    const inspector = new RequestInspector(HIDING);
    const begun = encodeFrames(["register", "Bobby"]).subarray(0, -1);
    inspector.feed(splitFrames(new Uint8Array(0), begun, 4096));
    assertEquals(inspector.partial!.text, '"Bobb"');
  });

  it("marks names and receivers that nobody has meant", () => {
    for (const name of ["Al\n", "Al\0", "users", "\ufeffAl"]) {
      const [mark, more] = remarks(["register", name, "send", name, "hi"]);
      assertMatch(mark!, /^the name of 'register'; odd: /);
      assertMatch(more!, /^the receiver of 'send'; odd: /);
    }
    assertEquals(remarks(["register", "Al", "send", "Al", "users\n"]), []);
  });

  it("says what is missing when the stream ends inside a command", () => {
    const { mistake, ...line } = inspect([encodeFrames(["send", "Bob"])])[2]!;
    assertEquals(mistake!.code, "argument-missing");
    assertEquals(line, {
      offset: 15,
      size: 0,
      hex: "",
      text: "",
      meaning: "the text of 'send', missing",
    });
    assertEquals(meanings(ascii("\x05\0\0\0use")), ["a command, incomplete"]);
    assertEquals(meanings(concat([encodeFrames(["register"]), ascii("\x05\0")])), [
      "the command 'register'",
      "the name of 'register', incomplete",
    ]);
  });

  it("has no line for the end of a stream behind complete commands or a mistake", () => {
    assertEquals(inspect([encodeFrames(["ping"])]).length, 1);
    const inspector = new RequestInspector(SHOWING);
    const feed = (bytes: Uint8Array) => inspector.feed(splitFrames(new Uint8Array(0), bytes, 4096));
    assertEquals(feed(encodeFrames(["pong", "ping"])), []);
    assertEquals(inspector.breakOff("impossible").length, 1);
    assertEquals(feed(encodeFrames(["ping"])), []);
    assertEquals(inspector.breakOff("stalled"), []);
  });

  it("knows only the commands of the original server in strict mode", () => {
    const [line] = inspect([encodeFrames(["ping"])], { ...SHOWING, strict: true });
    assertEquals(line!.mistake?.code, "unknown-command");
  });

  it("gives the same lines for a conversation in any chunks", () => {
    const whole = inspect([CONVERSATION]);
    for (const chunks of inAnyChunks(CONVERSATION)) assertEquals(inspect(chunks), whole);
  });

  it("covers each byte of random streams, and gives the same lines in any chunks", () => {
    withSeed((random) => {
      for (let round = 0; round < 300; round++) {
        const { bytes } = makeStream(random, false);
        const cuts = Array.from({ length: 5 }, () => wholeBelow(random, bytes.length + 1))
          .concat(0, bytes.length).sort((a, b) => a - b);
        const chunks = cuts.slice(1).map((cut, at) => bytes.subarray(cuts[at], cut));
        const lines = inspect([bytes]);
        const places = ({ offset, meaning }: Line) => ({ offset, meaning });
        assertEquals(inspect(chunks).map(places), lines.map(places));
        let end = 0;
        for (const { offset, size } of lines) {
          assertEquals(offset, end);
          end += size;
        }
        assert(end === bytes.length || lines.at(-1)!.mistake !== undefined);
      }
    });
  });

  it("counts from the offset that it is given, and hides a mistake, which may be mail", () => {
    const [line, mistake] = inspect([encodeFrames(["ping", "SECRET"])], HIDING, 1000);
    assertEquals(line!.offset, 1000);
    assertEquals([mistake!.offset, mistake!.hex, mistake!.text], [1008, "", ""]);
    assert(!JSON.stringify(mistake).includes("SECRET"));
  });
});

describe("the line of a mistake", () => {
  it("is tested with an example of each code", () => {
    const found = new Set(EXAMPLES.map(({ bytes }) => inspect([bytes]).at(-1)!.mistake?.code))
      .add("wrong-port").add("nothing-sent");
    assertEquals([...MISTAKE_CODES].filter((code) => !found.has(code)), []);
  });

  for (const { code, name, bytes, at = 0, says, strictRefusal } of EXAMPLES) {
    it(`stands at byte ${at} of ${name} (${code})`, () => {
      for (const strict of strictRefusal === undefined ? [false, true] : [false]) {
        const lines = inspect([bytes], { ...SHOWING, strict });
        const [last, ...before] = lines.toReversed();
        assertEquals({ code: last!.mistake?.code, at: last!.offset }, { code, at });
        assertEquals(before.filter(({ mistake }) => mistake !== undefined), []);
        // The text lists the commands, which are fewer in strict mode.
        assert(strict || last!.mistake!.text.includes(says.replace("10 s", "the stream ended")));
      }
    });

    it(`is the same in any chunks: ${name}`, () => {
      const whole = inspect([bytes]).map(withoutRest);
      for (const chunks of inAnyChunks(bytes)) {
        assertEquals(inspect(chunks).map(withoutRest), whole);
      }
    });
  }

  it("shows the bytes that arrived, in hex and as a text", () => {
    const [mistake] = inspect([ascii("users\n")]);
    assertEquals([mistake!.size, mistake!.hex, mistake!.text, mistake!.meaning], [
      6,
      "75 73 65 72 73 0a",
      '"users\\n"',
      "not a command",
    ]);
    const [, wrong] = inspect([concat([encodeFrames(["register"]), ascii("Robert")])]);
    assertEquals(wrong!.meaning, "not the name of 'register'");
  });
});

/** Bytes that hold the word SECRET in a mail, with and without mistakes in it and around it. */
const WITH_SECRET: readonly (readonly [name: string, bytes: Uint8Array])[] = [
  ...MAIL_IN_A_MISTAKE,
  ["a text", encodeFrames(["send", "Bob", "SECRET", "sendall", "SECRET"])],
  [
    "a big-endian length of a text",
    concat([encodeFrames(["send", "Bob"]), Uint8Array.of(0, 0, 0, 6), ascii("SECRET")]),
  ],
  ["a text without a length", concat([encodeFrames(["sendall"]), ascii("SECRET\n")])],
  ["a text that is cut off", concat([encodeFrames(["sendall"]), ascii("\x09\0\0\0SECRET")])],
  [
    "a text that is longer than its length",
    concat([encodeFrames(["sendall", ""]), ascii("SECRET")]),
  ],
  ["a text as a command", encodeFrames(["sendall", "", "SECRET"])],
  ["a text over the limit", concat([encodeFrames(["sendall"]), ascii("\0\0\x40\0SECRET")])],
  [
    "a receiver that takes in the text",
    concat([encodeFrames(["send"]), ascii("\x0d\0\0\0Bob\x06\0\0\0SECRET")]),
  ],
  [
    "a name that takes in a whole command",
    encodeFrames(["register", concat([ascii("Al"), encodeFrames(["sendall", "SECRET"])])]),
  ],
  [
    "a name that takes in a part of a command, cut off",
    concat([
      encodeFrames(["register"]),
      ascii("\x40\0\0\0Al"),
      encodeFrames(["sendall", "SECRET"]),
    ]),
  ],
  [
    "seconds that take in a whole command",
    encodeFrames(["wait", concat([ascii("1"), encodeFrames(["sendall", "SECRET"])])]),
  ],
  [
    "a text that is not UTF-8",
    encodeFrames(["sendall", concat([ascii("SECRET"), Uint8Array.of(0xff)])]),
  ],
];

describe("a hidden text", () => {
  for (const [name, bytes] of WITH_SECRET) {
    it(`appears in no line: ${name}`, () => {
      for (const chunks of inAnyChunks(concat([REGISTER, bytes]))) {
        const lines = inspect(chunks, HIDING);
        assert(!/SECRET|53 45 43|45 43 52/.test(JSON.stringify(lines)), JSON.stringify(lines));
      }
    });
  }

  it("appears if texts are shown", () => {
    const absent = WITH_SECRET.filter(([, bytes]) =>
      !JSON.stringify(inspect([bytes])).includes("SECRET")
    );
    assertEquals(absent.map(([name]) => name), []);
  });

  it("is no name or receiver of usual length, even with a NUL at the end", () => {
    const lines = inspect([encodeFrames(["register", "Eve\0", "send", "Bob\0", "Hi"])], HIDING);
    assertEquals(lines.map(({ text }) => text), [
      '"register"',
      '"Eve\\u0000"',
      '"send"',
      '"Bob\\u0000"',
      "",
    ]);
  });
});

describe("replyLines()", () => {
  const SHOWN = { user: "Al", id: 1, through: 2 };
  const MAIL: Reply = {
    code: "mail",
    mail: () => ["Al", "Bob"].map((from) => ({ from, text: "SECRET", source: { network: "" } })),
    count: 2,
    shown: SHOWN,
  };

  function usersOf(...names: readonly string[]): Reply {
    const add = (users: IntMap<{ name: string }>, name: string, id: number) =>
      users.set(id, { name });
    return { code: "users", users: names.reduce(add, IntMap.empty<{ name: string }>()) };
  }

  it("describes each frame of a reply: offset, text and meaning", () => {
    assertEquals(
      replyLines(usersOf("Al", "Bob"), 7, false).map((
        { offset, text, meaning },
      ) => [offset, text, meaning]),
      [
        [7, '"2"', "reply: the number of names"],
        [12, '"Al"', "reply: name 1"],
        [18, '"Bob"', "reply: name 2"],
      ],
    );
    assertEquals(replyLines(MAIL, 0, true).map(({ text, meaning }) => [text, meaning]), [
      ['"2"', "reply: the number of messages"],
      ['"Al"', "reply: the sender of message 1"],
      ['"SECRET"', "reply: the text of message 1"],
      ['"Bob"', "reply: the sender of message 2"],
      ['"SECRET"', "reply: the text of message 2"],
    ]);
  });

  it("hides the texts of mail, the text of a mistake, and an unknown receiver", () => {
    const mistake = {
      code: "plain-text",
      rule: "This is text",
      text: "This is text: SECRET",
      dialect: "frame",
    } as const;
    for (
      const reply of [MAIL, { code: "mistake", mistake }, {
        code: "no-such-user",
        user: "SECRET",
      }] as const
    ) {
      const lines = replyLines(reply, 0, false);
      assert(!/SECRET|53 45 43/.test(JSON.stringify(lines)));
      assert(lines.some(({ meaning, text }) => meaning.endsWith(", hidden") && text === ""));
      assert(JSON.stringify(replyLines(reply, 0, true)).includes("SECRET"));
    }
  });

  const FIELDS = { user: "Al", peer: "127.0.0.1:5", max: 60, full: 2 };
  const DONE = ["welcome", "welcome-back", "sent", "sent-in-part", "logged-out", "pong"] as const;
  const REPLIES: readonly (readonly [reply: Reply, meaning: string])[] = [
    ...REFUSALS.map((code) => [{ code, ...FIELDS }, "reply: refused"] as const),
    ...DONE.map((code) => [{ code, ...FIELDS }, "reply: done"] as const),
    [{ code: "help", text: () => "users\nping" }, "reply: the commands and limits"],
    [
      {
        code: "mistake",
        mistake: { code: "tls", rule: "", text: "This is TLS", dialect: "frame" },
      },
      "reply: what is wrong (tls)",
    ],
    [{ code: "mail", mail: () => [], count: 0, shown: SHOWN }, "reply: the number of messages"],
  ];

  for (const [reply, meaning] of REPLIES) {
    it(`shows the bytes of '${reply.code}' as they are sent`, () => {
      const [line, ...more] = replyLines(reply, 100, true);
      assertEquals(more, []);
      assertEquals([line!.offset, line!.size, line!.meaning], [
        100,
        encodeReply(reply).length,
        meaning,
      ]);
      assertEquals(JSON.parse(line!.text), replyTexts(reply)[0]);
    });
  }

  it("describes 10,000 names in 100 lines, of which the last counts the rest", () => {
    const reply = usersOf(...Array.from({ length: 10_000 }, (_, number) => `имя${number}`));
    const lines = replyLines(reply, 5, false);
    assertEquals(lines.length, 100);
    const last = lines.at(-1)!;
    assertMatch(last.meaning, /^reply: 9902 more frames, not shown$/);
    assertEquals(last.offset + last.size, 5 + encodeReply(reply).length);
    for (const [at, line] of lines.slice(1).entries()) {
      assertEquals(line.offset, lines[at]!.offset + lines[at]!.size);
    }
  });

  it("describes 100 frames in 100 lines", () => {
    const reply = usersOf(...Array.from({ length: 99 }, (_, number) => `${number}`));
    const { meaning, size } = replyLines(reply, 0, false).at(-1)!;
    assertEquals([meaning, size], ["reply: name 99", encodeFrame("98").length]);
  });
});
