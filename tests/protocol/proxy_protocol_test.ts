import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { describe, it } from "@std/testing/bdd";
import { encodeFrames } from "../../lib/protocol/frame.ts";
import { parseProxyHeader, type ProxyHeader } from "../../lib/protocol/proxy_protocol.ts";
import { from, header, LOCAL, tcp4, tcp6 } from "./proxy_headers.ts";

const DB8 = "20010db8000000000000000000000001";
const TLV = [0x04, 0, 3, 1, 2, 3, 0x05, 0, 1, 9];

/** The result for bytes that arrive one by one, once there is one. */
function byteByByte(bytes: Uint8Array): ProxyHeader {
  let result: ProxyHeader = { kind: "incomplete" };
  for (let end = 1; result.kind === "incomplete" && end <= bytes.length; end++) {
    result = parseProxyHeader(bytes.subarray(0, end));
  }
  return result;
}

function itGives(name: string, bytes: Uint8Array, expected: ProxyHeader): void {
  it(`${name}, in one chunk, byte by byte and in any two chunks`, () => {
    assertEquals(parseProxyHeader(bytes), expected);
    assertEquals(byteByByte(bytes), expected);
    for (let at = 0; at < bytes.length; at++) {
      const first = parseProxyHeader(bytes.subarray(0, at));
      assertEquals(first.kind === "incomplete" ? parseProxyHeader(bytes) : first, expected);
    }
  });
}

describe("parseProxyHeader() reads", () => {
  for (
    const [name, bytes, hostname, port] of [
      ["TCP over IPv4", from("192.0.2.7", 51_234), "192.0.2.7", 51_234],
      ["the lowest address", from("0.0.0.0", 0), "0.0.0.0", 0],
      ["the highest address", from("255.255.255.255", 65_535), "255.255.255.255", 65_535],
      ["TCP over IPv6", header(0x21, 0x21, tcp6(DB8, 443)), "2001:db8::1", 443],
      [
        "an IPv4 address that is written as IPv6",
        header(0x21, 0x21, tcp6("00000000000000000000ffffc0000207", 1)),
        "192.0.2.7",
        1,
      ],
      [
        "bytes behind the addresses, which it ignores",
        header(0x21, 0x11, [...tcp4("192.0.2.7", 7), ...TLV]),
        "192.0.2.7",
        7,
      ],
      [
        "the longest header",
        header(0x21, 0x21, [...tcp6(DB8, 7), ...new Uint8Array(4_096 - 16 - 36)]),
        "2001:db8::1",
        7,
      ],
    ] as const
  ) {
    itGives(name, bytes, { kind: "whole", size: bytes.length, source: { hostname, port } });
  }

  for (
    const [name, bytes] of [
      ["LOCAL", LOCAL],
      ["LOCAL with an address, which it ignores", header(0x20, 0x11, tcp4("192.0.2.7", 7))],
      ["LOCAL with an unknown family", header(0x20, 0xff, [1, 2, 3])],
      ["an unspecified family", header(0x21, 0x00)],
      ["an unspecified family with bytes behind it", header(0x21, 0x00, TLV)],
    ] as const
  ) {
    itGives(name, bytes, { kind: "whole", size: bytes.length, source: undefined });
  }

  it("no bytes of the commands behind a header", () => {
    const bytes = concat([from("192.0.2.7", 7), encodeFrames(["users"])]);
    assertEquals(parseProxyHeader(bytes), {
      kind: "whole",
      size: bytes.length - 9,
      source: { hostname: "192.0.2.7", port: 7 },
    });
  });

  it("a header in a view of a larger buffer", () => {
    const memory = concat([new Uint8Array(5).fill(0xaa), from("192.0.2.7", 7)]);
    assertEquals(parseProxyHeader(memory.subarray(5)), parseProxyHeader(from("192.0.2.7", 7)));
  });
});

describe("parseProxyHeader() refuses", () => {
  const text = (line: string) => new TextEncoder().encode(line);
  const [tooLong, tooShort] = [header(0x21, 0x11, [], 4_081), header(0x21, 0x11, [1, 2, 3])];

  for (
    const [name, bytes, said] of [
      ["a command of the chat", encodeFrames(["ping"]), "No header came: byte 1 is 04, not 0d"],
      [
        "a mail, which it does not repeat",
        encodeFrames(["send", "Bob", "SECRET"]),
        "No header came: byte 1 is 04, not 0d",
      ],
      ["text", text("PRO users\n"), "No header came: byte 1 is 50, not 0d"],
      ["two empty lines", text("\r\n\r\nusers"), "No header came: byte 5 is 75, not 00"],
      [
        "version 1",
        text("PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n"),
        "A header of version 1 came, which is text",
      ],
      ["version 3", header(0x31, 0x11, tcp4("1.2.3.4", 5)), "A header of version 3 came"],
      ["version 0", header(0x01, 0x11, tcp4("1.2.3.4", 5)), "A header of version 0 came"],
      [
        "an unknown command",
        header(0x22, 0x11, tcp4("1.2.3.4", 5)),
        "A header with the command 2 came, which is not LOCAL (0) and not PROXY (1)",
      ],
      ...[0x01, 0x10, 0x12, 0x22, 0x31, 0xff].map((family) =>
        [
          `the family ${family.toString(16).padStart(2, "0")}`,
          header(0x21, family, tcp4("1.2.3.4", 5)),
          `A header for the family ${family.toString(16).padStart(2, "0")} came, which is not ` +
          "TCP over IPv4 (11) and not TCP over IPv6 (21)",
        ] as const
      ),
      ["a length over the limit", tooLong, "A header of 4097 bytes came, over the limit of 4096"],
      [
        "a length over the limit of LOCAL",
        header(0x20, 0, [], 65_535),
        "A header of 65551 bytes came, over the limit of 4096",
      ],
      ["too few bytes for IPv4", tooShort, "A header of 19 bytes came, whose addresses take 28"],
      [
        "an IPv4 address as one of IPv6",
        header(0x21, 0x21, tcp4("1.2.3.4", 5)),
        "A header of 28 bytes came, whose addresses take 52",
      ],
    ] as const
  ) {
    itGives(name, bytes, { kind: "wrong", text: said });
  }

  const signature = ["0d", "0a", "0d", "0a", "00", "0d", "0a", "51", "55", "49", "54", "0a"];
  for (const [at, expected] of signature.entries()) {
    itGives(
      `a wrong byte ${at + 1} of the signature`,
      from("192.0.2.7").map((byte, index) => index === at ? 0x40 : byte),
      { kind: "wrong", text: `No header came: byte ${at + 1} is 40, not ${expected}` },
    );
  }

  it("no bytes that may be the beginning of a header", () => {
    for (const start of ["", "P", "PROXY", "\r\n\r\n\0\r\nQUI"]) {
      assertEquals(parseProxyHeader(text(start)), { kind: "incomplete" });
    }
  });
});
