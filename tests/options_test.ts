import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { parseServerOptions, SERVER_FLAGS } from "../lib/options.ts";
import { HELP_FLAG, helpLines, parseFlags, parseHostPort } from "../lib/flags.ts";
import { UsageError } from "../lib/errors.ts";

function wrong(...args: string[]): string {
  return assertThrows(() => parseServerOptions(args), UsageError).message;
}

describe("parseServerOptions()", () => {
  it("has a default for each flag", () => {
    const options = parseServerOptions([]);
    assertEquals(options.port, 31337);
    assertEquals(options.hostname, "0.0.0.0");
    assertEquals(options.idleTimeoutS, 60);
    assertEquals(options.strict, false);
  });

  it("has a shorter idle time-out in strict mode, unless one is given", () => {
    assertEquals(parseServerOptions(["--strict"]).idleTimeoutS, 10);
    assertEquals(parseServerOptions(["--strict", "--idle-timeout-s", "7"]).idleTimeoutS, 7);
  });

  it("takes a value behind a blank or an equals sign", () => {
    assertEquals(parseServerOptions(["--port", "4000"]).port, 4000);
    assertEquals(parseServerOptions(["--port=4000"]).port, 4000);
    assertEquals(parseServerOptions(["--idle-timeout-s", "0.5"]).idleTimeoutS, 0.5);
  });

  it("drops the -- that a task passes on before flags, but not one before other arguments", () => {
    assertEquals(parseServerOptions(["--", "--port", "4000"]).port, 4000);
    assertEquals(parseServerOptions(["--data", "x", "--", "--port=4000"]).port, 4000);
    assertEquals(wrong("--", "--prot", "1"), "Unknown flag --prot: did you mean --port?");
    const parsed = (...args: string[]) => parseFlags(HELP_FLAG, args);
    assertEquals(parsed("--", "-x").positionals, ["-x"]);
    assertEquals(parsed("a", "--", "--x").positionals, ["a", "--x"]);
    assertEquals(parsed("--", "--help").options.help, true);
    assertEquals(parsed("--", "--", "--help").positionals, ["--help"]);
  });

  it("takes an IPv6 address with brackets and without", () => {
    for (const flag of ["--hostname", "--http-hostname"]) {
      for (const given of ["::1", "[::1]"]) {
        const { hostname, httpHostname } = parseServerOptions([flag, given]);
        assertEquals(flag === "--hostname" ? hostname : httpHostname, "::1");
      }
    }
  });

  it("hides a login in any argument that it refuses", () => {
    for (
      const args of [["--port", "chat:s3cret@h"], ["--journal", "chat:s3cret@h:1"], [
        "nats://chat:s3cret@h",
      ]]
    ) {
      const message = wrong(...args);
      assertEquals(message.includes("s3cret"), false, message);
    }
  });

  it("refuses flags for NATS without --journal, and a certificate without its key", () => {
    for (const flag of ["--replicas", "--journal-timeout-s", "--nats-creds", "--stream"]) {
      assertStringIncludes(wrong(flag, "3"), `${flag} is about NATS, and --journal does not say`);
    }
    const journal = ["--journal", "nats://10.0.0.5:4222"];
    for (const flag of ["--nats-cert", "--nats-key"]) {
      assertStringIncludes(wrong(...journal, flag, "x"), "--nats-cert and --nats-key go together");
    }
    assertEquals(parseServerOptions([...journal, "--replicas", "3"]).replicas, 3);
  });

  it("hides the login of a URL in its error", () => {
    const message = wrong("--journal", "nats://chat:se@cret@10.0.0.5:4222");
    assertStringIncludes(message, '"nats://***@10.0.0.5:4222" is no list of NATS servers');
    assertStringIncludes(message, "a login belongs in a file for --nats-creds");
  });

  it("takes a list of networks, also an empty one", () => {
    const list = "10.0.0.5,10.1.0.0/16,fd00::/8";
    assertEquals(parseServerOptions(["--proxy-protocol", list]).proxyProtocol, list);
    assertEquals(parseServerOptions(["--proxy-protocol", ""]).proxyProtocol, "");
  });

  for (
    const [args, message] of [
      [["--port", "x"], 'Cannot parse --port: "x" is not a whole number from 0 to 65535'],
      [["--port", "65536"], 'Cannot parse --port: "65536" is not a whole number from 0 to 65535'],
      [["--port", "-1"], 'Cannot parse --port: "-1" is not a whole number from 0 to 65535'],
      [["--port="], 'Cannot parse --port: "" is not a whole number from 0 to 65535'],
      [["--port"], "Cannot parse --port: it needs a value, --port N"],
      [["--strict=yes"], 'Cannot parse --strict: it takes no value, "yes" was given'],
      [["--prot", "1"], "Unknown flag --prot: did you mean --port?"],
      [["-p", "1"], "Unknown flag -p: --help lists them"],
      [["--log", "xml"], 'Cannot parse --log: "xml" is none of text|json|off'],
      [
        ["--idle-timeout-s", "0"],
        'Cannot parse --idle-timeout-s: "0" is not a number of seconds from 0.01 to 86400',
      ],
      [
        ["--proxy-protocol", "10.0.0.5;fd00::/8"],
        'Cannot parse --proxy-protocol: "10.0.0.5;fd00::/8" holds "10.0.0.5;fd00::/8", which is ' +
        "no IP address and no network, as in 10.0.0.5,10.1.0.0/16,fd00::/8",
      ],
      [
        ["--proxy-protocol", "10.0.0.5,10.1.2.3/16"],
        'Cannot parse --proxy-protocol: "10.0.0.5,10.1.2.3/16" holds "10.1.2.3/16": write that ' +
        "network 10.1.0.0/16",
      ],
      [["extra"], 'Unexpected "extra": the server takes only flags, see --help'],
      [
        ["--text-symbols-max", "2000"],
        "--frame-bytes-max 4096 is too small for --text-symbols-max 2000: a symbol takes up to " +
        "4 bytes, so set it to 8000 or more",
      ],
      [
        ["--http", "0", "--frame-bytes-max", "65533"],
        "--ws-bytes-max 65536 is too small for --frame-bytes-max 65533: a frame may come in one " +
        "message of a WebSocket, with its length of 4 bytes, so set it to 65537 or more",
      ],
    ] as const
  ) {
    it(`says what is wrong with ${args.join(" ")}`, () => {
      assertEquals(wrong(...args), message);
    });
  }
});

describe("helpLines()", () => {
  it("has a line for every flag, with its default", () => {
    const help = helpLines(SERVER_FLAGS);
    assertEquals(help.split("\n").length, Object.keys(SERVER_FLAGS).length);
    assertStringIncludes(help, "--mailbox-messages-max N");
    assertStringIncludes(help, "[31337]");
  });
});

describe("parseHostPort()", () => {
  it("parses names, IPv4 and IPv6 addresses", () => {
    assertEquals(parseHostPort("localhost:1"), { hostname: "localhost", port: 1 });
    assertEquals(parseHostPort("10.0.0.1:31337"), { hostname: "10.0.0.1", port: 31337 });
    assertEquals(parseHostPort("[::1]:31337"), { hostname: "::1", port: 31337 });
    assertEquals(parseHostPort(":31337"), { hostname: "127.0.0.1", port: 31337 });
  });

  it("says what is wrong with other texts", () => {
    for (const given of ["localhost", "::1:5", "a:0", "a:65536", "a:b"]) {
      const { message } = assertThrows(() => parseHostPort(given), UsageError);
      assertEquals(message, `Cannot parse "${given}": it is not host:port, as in 127.0.0.1:31337`);
    }
  });
});
