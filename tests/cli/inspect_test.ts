/** `inspect` as a process with a file, a pipe, or bytes in hex. */
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { concat } from "@std/bytes";
import { describe, it } from "@std/testing/bdd";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { parseHex } from "../../lib/cli/hex_text.ts";
import { UsageError } from "../../lib/errors.ts";
import { ascii, EXAMPLES } from "../protocol/mistakes.ts";
import { itNeeds } from "../needs.ts";
import { TempFile } from "../support.ts";
import { MAIN, runDeno } from "./program.ts";

const PIPE = { permissions: ["run", "read"] } as const;
const FILE = { permissions: ["run", "read", "write"] } as const;
const decoder = new TextDecoder();

/** Runs `inspect`, by default with no permission at all. */
async function inspect(input: Uint8Array, args: string[] = [], permissions: string[] = []) {
  return await runDeno(["run", "--no-prompt", ...permissions, MAIN, "inspect", ...args], input);
}

describe("main.ts inspect", () => {
  itNeeds(PIPE, "explains the bytes of a pipe in columns, with no permission", async () => {
    const bytes = encodeFrames(["send", "Bob", "Hello world, 30 symbols it is.", "wait", "soon"]);
    assertEquals(await inspect(bytes), {
      code: 1,
      stdout: ` byte  hex                                  text          meaning
    0  04 00 00 00 73 65 6e 64              "send"        the command 'send'
    8  03 00 00 00 42 6f 62                 "Bob"         the receiver of 'send'
   15  1e 00 00 00 48 65 6c 6c 6f 20 77 6f  "Hello world  the text of 'send'
       72 6c 64 2c 20 33 30 20 73 79 6d 62  , 30 symbols
       6f 6c 73 20 69 74 20 69 73 2e         it is."
   49  04 00 00 00 77 61 69 74              "wait"        the command 'wait'
   57  04 00 00 00 73 6f 6f 6e              "soon"        the seconds of 'wait'
       refused: the reply is Bad number of seconds!

Not all right: 5 frames in 65 bytes, 1 of them refused or odd.
`,
      stderr: "",
    });
  });

  itNeeds(PIPE, "marks an odd name, and exits with 1", async () => {
    const { code, stdout } = await inspect(encodeFrames(["register", "Al\n"]));
    assertEquals(code, 1);
    assertStringIncludes(stdout, "odd: ends with a line break: fgets, read and readline keep it.");
    assertStringIncludes(stdout, "Not all right: 2 frames in 19 bytes, 1 of them refused or odd.");
  });

  itNeeds(PIPE, "says that all is right, and knows other limits", async () => {
    const bytes = encodeFrames(["register", "ninechars", "users"]);
    assertEquals((await inspect(bytes)).code, 1);
    const { code, stdout } = await inspect(bytes, ["--name-symbols-max", "9"]);
    assertEquals(code, 0);
    assertStringIncludes(stdout, "All right: 3 frames in 34 bytes, whole commands.");
  });

  itNeeds(PIPE, "explains the replies of a server", async () => {
    const bytes = encodeFrames(["Hello, Al", "2", "Al", "Bo", "1", "Bo", "hi", "pong"]);
    const { code, stdout } = await inspect(bytes, ["--replies"]);
    assertEquals(code, 0);
    const meanings = [...stdout.matchAll(/reply: (.*)$/gm)].map(([, meaning]) => meaning);
    assertEquals(meanings, [
      "done",
      "the number of",
      "name 1",
      "name 2",
      "the number of",
      "the sender of",
      "the text of",
      "done",
    ]);
    const cut = await inspect(encodeFrames(["2", "Al"]), ["--replies"]);
    assertEquals(cut.code, 1);
    assertStringIncludes(
      cut.stdout.replace(/\s+/g, " "),
      "The count says 2, so 2 frames follow it",
    );
  });

  itNeeds(PIPE, "says which reply belongs to which command", async () => {
    const bytes = encodeFrames(["Hello, Al", "1", "Al", "pong"]);
    const { code, stdout } = await inspect(bytes, [
      "--replies",
      "--commands",
      "register, users,ping",
    ]);
    assertEquals(code, 0);
    assertStringIncludes(stdout.replace(/\s+/g, " "), "'users': the");
    for (
      const [args, message] of [
        [["--commands", "users"], "--commands is for the replies to them: add --replies\n"],
        [
          ["--replies", "--commands", "usres"],
          '--commands: "usres" is no command, as in register,',
        ],
      ] as const
    ) {
      const { code, stderr } = await inspect(bytes, [...args]);
      assertEquals(code, 2);
      assertStringIncludes(stderr.replaceAll("'", '"'), message);
    }
  });

  itNeeds(PIPE, "says how many bytes strict mode would not read", async () => {
    const { code, stdout } = await inspect(encodeFrames(["register", "", "users"]), ["--strict"]);
    assertEquals(code, 1);
    assertStringIncludes(
      stdout,
      "2 frames in 16 bytes, 1 of them refused or odd. " +
        "The server would not read the 9 bytes behind them.",
    );
  });

  itNeeds(PIPE, "explains a mistake in words below its bytes, and exits with 1", async () => {
    const bytes = concat([encodeFrames(["users"]), ascii("\0\0\0\x05users")]);
    assertEquals(await inspect(bytes, ["-"]), {
      code: 1,
      stdout: ` byte  hex                                  text          meaning
    0  05 00 00 00 75 73 65 72 73           "users"       the command 'users'
    9  00 00 00 05 75 73 65 72 73           "\\u0000       not a command
                                            \\u0000\\u0000
                                            \\u0005users"
       big-endian: A length comes lowest byte first (little-endian); yours comes
       highest byte first (big-endian). For 5 send 05 00 00 00 (C: no htonl;
       Python: '<I'; Java: ByteOrder.LITTLE_ENDIAN). Bytes: 00 00 00 05 75 73 65
       72 73

Wrong from byte 9 of 18 on: the server would say so and close the connection.
`,
      stderr: "",
    });
  });

  itNeeds(PIPE, "prints no line that is wider than a terminal", async () => {
    const bytes = encodeFrames(["register", "Eve", "sendall", "x".repeat(200), "y".repeat(200)]);
    const { code, stdout } = await inspect(bytes);
    assertEquals(code, 1);
    assertEquals(stdout.split("\n").filter((line) => line.length > 80), []);
  });

  itNeeds(PIPE, "knows strict mode and the limit of a frame", async () => {
    const strict = await inspect(encodeFrames(["ping"]), ["--strict"]);
    assertEquals(strict.code, 1);
    assertStringIncludes(strict.stdout, "unknown-command: This frame is no command.");
    assertStringIncludes(strict.stdout, "the server would close the connection and not say why.");
    const limited = await inspect(encodeFrames(["register", "x".repeat(20)]), [
      "--frame-bytes-max",
      "16",
    ]);
    assertStringIncludes(limited.stdout, "is over the limit of 16\n       bytes. Send less.");
  });

  itNeeds(
    PIPE,
    "explains a mistake with the bytes behind it, also far into the input",
    async () => {
      const pings = encodeFrames(new Array<string>(8_191).fill("ping"));
      const { stdout } = await inspect(concat([pings, ascii("\0\0\0\x06abc123")]));
      assertStringIncludes(stdout, "Wrong from byte 65528 of 65538 on:");
      assertStringIncludes(stdout.replace(/\s+/g, " "), "Bytes: 00 00 00 06 61 62 63 31 32 33 ");
    },
  );

  itNeeds(PIPE, "names --hex where hex comes without that flag", async () => {
    const hint = "add --hex";
    assertStringIncludes((await inspect(ascii("04 00 00 00 70 69 6e 67\n"))).stdout, hint);
    assert(!(await inspect(ascii("users\n"))).stdout.includes(hint));
    const read = await inspect(ascii("04 00 00 00 70 69 6e 67\n"), ["--hex"]);
    assertEquals(read.code, 0);
    assertStringIncludes(read.stdout, "the command 'ping'");
  });

  itNeeds(FILE, "explains a file, with the permission to read it alone", async () => {
    using file = new TempFile();
    await Deno.writeFile(file.path, encodeFrames(["ping"]));
    const { code, stdout } = await inspect(ascii(""), [file.path], [`--allow-read=${file.path}`]);
    assertEquals(code, 0);
    assertStringIncludes(stdout, "the command 'ping'");
    const denied = await inspect(ascii(""), [file.path, "--strict"]);
    assertEquals(denied.code, 2);
    assertEquals(
      denied.stderr,
      `Not allowed to read ${file.path}. ` +
        `Run: deno run --allow-read=${file.path} main.ts inspect ${file.path} --strict\n`,
    );
  });

  itNeeds(FILE, "says in one line what it can't read, and exits with 2", async () => {
    using file = new TempFile();
    const read = [`--allow-read=${file.folder}`];
    const cases: [string[], Uint8Array, RegExp][] = [
      [[file.path], ascii(""), /^Cannot read .*chat\.db: No such file.*\n$/],
      [[file.folder], ascii(""), /^Cannot read .*: Is a directory.*\n$/],
      [[], ascii(""), /^There is nothing to inspect: not a byte came\n$/],
      [["--hex"], ascii(" \n"), /^There is nothing to inspect: not a byte came\n$/],
      [
        ["--hex"],
        ascii("05 00\nzz"),
        /^Line 2, column 1: "zz" is no byte in hex\. --hex reads .*\n$/,
      ],
      [
        [],
        new Uint8Array(16_777_217),
        /^There is too much to inspect: more than 16777216 bytes.*\n$/,
      ],
      [["a", "b"], ascii(""), /^Unexpected "b": inspect takes one FILE\n$/],
      [["--hax"], ascii(""), /^Unknown flag --hax: did you mean --hex\?\n$/],
    ];
    for (const [args, input, message] of cases) {
      const { code, stdout, stderr } = await inspect(input, args, read);
      assertMatch(stderr, message);
      assertEquals({ code, stdout }, { code: 2, stdout: "" });
    }
  });

  itNeeds(PIPE, "prints its own help", async () => {
    const { code, stdout } = await inspect(ascii(""), ["--help"]);
    assertEquals(code, 0);
    assertMatch(
      stdout,
      /^Explain the bytes of a client[^]*--hex [^]*--replies [^]*--strict [^]*--frame-bytes-max N/,
    );
  });
});

const USERS = encodeFrames(["users"]);
const LONG = encodeFrames(["register", "Bob", "sendall", `   |${" ".repeat(20)}~\n`, "users"]);

describe("parseHex()", () => {
  for (
    const text of [
      "05 00 00 00 75 73 65 72 73",
      "  05 00 00 00\r\n\r\n\t75 73 65 72 73\r\n",
      "050000007573657273\n",
      "0500 0000 7573 6572 73",
      "05000000 75736572 73",
      "05,00,00,00,75,73,65,72,73",
      "0x05, 0x00, 0x00, 0x00,\n0x75, 0x73, 0x65, 0x72, 0x73,",
      "0x5 0x0 0X0 0x0 0x75 0x73 0x65 0x72 0x73",
      "\\x05\\x00\\x00\\x00\\x75\\x73\\x65\\x72\\x73",
      "05:00:00:00:75:73:65:72:73",
      "05-00-00-00-75-73-65-72-73",
      "05 00 00 00 75 73 65 72 73".toUpperCase(),
      "{0x05, 0x00, 0x00, 0x00, 0x75, 0x73, 0x65, 0x72, 0x73}",
      "unsigned char bytes[] = { /* Packet 4 */\n0x05, 0x00, 0x00, 0x00, /* .... */\n0x75, 0x73,\n" +
      "0x65, 0x72, 0x73 };\n",
      "b'\\x05\\x00\\x00\\x00users'",
      'b"\\x05\\x00\\x00\\x00\\x75s\\x65rs"',
      '"\\x05\\x00\\x00\\x00\\x75" \\\n"\\x73\\x65\\x72\\x73"\n',
      '"\\x05\\0\\0\\x00users"',
      "b'\\x05\\x00\\x00\\x00'\nb'users'\n",
      `b'\\x05\\x00' b"\\x00\\x00us" b'ers'`,
      "[0x05, 0x00, 0x00, 0x00, 0x75, 0x73, 0x65, 0x72, 0x73]",
      "unsigned char a_bin[] = {\n  0x05, 0x00, 0x00, 0x00, 0x75, 0x73, 0x65, 0x72,\n  0x73\n};\n" +
      "unsigned int a_bin_len = 9;\n",
      "char peer0_0[] = { /* Packet 4 */\n0x05, 0x00, 0x00, 0x00 };\n" +
      "char peer0_1[] = { /* Packet 6 */\n0x75, 0x73, 0x65, 0x72, 0x73 };\n",
      "0000   05 00 00 00 75 73 65 72 73                        ....users",
      "0000   05 00 00 00\n0004   75 73 65 72 73",
      "00000000: 0500 0000 7573 6572 73                   ....users",
      "00000000  05 00 00 00 75 73 65 72  73                       |....users|\n00000009\n",
    ]
  ) {
    it(`reads ${JSON.stringify(text)}`, () => assertEquals(parseHex(text), USERS));
  }

  for (
    const [program, ...args] of [
      ["xxd"],
      ["xxd", "-g1", "-c", "8"],
      ["xxd", "-u"],
      ["xxd", "-p"],
      ["xxd", "-i"],
      ["hexdump", "-v", "-C"],
    ] as const
  ) {
    const needs = { ...FILE, programs: [program] };
    itNeeds(needs, `reads what ${program} ${args.join(" ")} prints`, () => {
      using file = new TempFile();
      for (const bytes of [USERS, LONG, ...EXAMPLES.map(({ bytes }) => bytes)]) {
        Deno.writeFileSync(file.path, bytes);
        const { stdout } = new Deno.Command(program, { args: [...args, file.path] }).outputSync();
        assertEquals(parseHex(decoder.decode(stdout)), bytes);
      }
    });
  }

  it("reads megabytes, also on one line", () => {
    assertEquals(parseHex("04".repeat(1_000_000)).length, 1_000_000);
    assertEquals(parseHex("04 ".repeat(1_000_000)).length, 1_000_000);
    assertEquals(parseHex(`b'${"\\x04".repeat(1_000_000)}'`).length, 1_000_000);
    assertEquals(parseHex(`{${"0x04, ".repeat(1_000_000)}}`).length, 1_000_000);
  });

  const XXD = "00000000: 0500 0000 7573 6572 73                   ....users";
  for (
    const [text, message] of [
      ["05 0 0", 'Line 1, column 4: "0" has an odd number of digits, and a byte has 2.'],
      ["05 00\n 00 xy", 'Line 2, column 5: "xy" is no byte in hex.'],
      ["0x005", 'Line 1, column 1: "0x005" is no byte in hex.'],
      ["{0x05, 0x0g}", 'Line 1, column 7: "0x0g" is no byte in hex.'],
      ["b'\\x05\\q'", '"\\\\q" is no byte in a string with \\x.'],
      ["b'\\x05' junk", "Line 1, column 1: \"b'\\\\x05'\" is no byte in hex."],
      ["b'\\x05é'", '"é" is no byte in a string with \\x.'],
      ["'\\012'", '"\\\\0" is no byte in a string with \\x.'],
      ['"\\x05users" "\\x05ada"', '"\\\\x05ada" is one byte in Python and too much in C'],
      ["b'\\x05", 'Line 1, column 1: "b\'\\\\x05" is no byte in hex.'],
      ['"05 00"', 'Line 1, column 1: "\\"05" is no byte in hex.'],
      ["[0x05, 0x0g]", 'Line 1, column 7: "0x0g" is no byte in hex.'],
      ["05:00:0", 'Line 1, column 1: "05:00:0" is no byte in hex.'],
      ["\\x05\\x00users", 'Line 1, column 1: "\\\\x05\\\\x00users" is no byte in hex.'],
      ["\u0005\u0000\u0000\u0000users", 'Line 1, column 1: "\\u0005\\u0000'],
      ["000000 05 00 00 00", 'Line 1: is "000000" an offset? It is longer than "05" behind it.'],
      ["0000000 0005 0000", 'Line 1, column 1: "0000000" has an odd number of digits'],
      [XXD.replace("users", "Users"), 'Line 1: its bytes are "....users", but beside them'],
      [XXD.replace("00000000", "00000010"), "Line 1: it says that it begins at byte 16 (00000010"],
      [
        `${XXD}\n00000010: 00  .`,
        "Line 2: it says that it begins at byte 16 (00000010 in hex), but 9",
      ],
      [`${XXD}\n05 00`, 'Line 2: "05 00" is no line of xxd, as the first is'],
      [`${XXD}\n*`, "Line 2: * stands for lines that hexdump left out."],
      ["00000000: 00000101 00000000  ..", "Line 1: its bytes are"],
    ] as const
  ) {
    it(`says where ${JSON.stringify(text)} is no hex`, () => {
      assertStringIncludes(assertThrows(() => parseHex(text), UsageError).message, message);
    });
  }
});
