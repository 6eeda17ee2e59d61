import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  formatAddress,
  formatHostPort,
  isWithin,
  parseAddress,
  parseHost,
  parseNetworks,
  shareNetwork,
  wrongNetwork,
} from "../../lib/protocol/ip.ts";

function isIn(list: string, address: string): boolean {
  assertEquals(wrongNetwork(list), undefined);
  return isWithin(parseNetworks(list), address);
}

describe("isWithin()", () => {
  for (
    const [list, inside, outside] of [
      ["10.0.0.5", ["10.0.0.5", "::ffff:10.0.0.5", "::ffff:a00:5"], ["10.0.0.4", "::10.0.0.5"]],
      ["10.1.0.0/16", ["10.1.0.0", "10.1.255.255"], ["10.0.255.255", "10.2.0.0", "a01::"]],
      ["10.0.0.4/31", ["10.0.0.4", "10.0.0.5"], ["10.0.0.3", "10.0.0.6"]],
      ["0.0.0.0/0", ["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"], ["::", "::1", "fd00::"]],
      ["::1", ["::1", "0:0:0:0:0:0:0:1"], ["::", "::2", "127.0.0.1", "0.0.0.1"]],
      ["fd00::/8", ["fd00::", "fdff:ffff::1", "FD12:3:4:5:6:7:8:9"], ["fc00::", "fe00::"]],
      ["2001:db8::/33", ["2001:db8:7fff::"], ["2001:db8:8000::"]],
      ["::/0", ["::", "ffff::", "::1"], ["0.0.0.0", "10.0.0.5", "::ffff:10.0.0.5"]],
      ["::ffff:10.0.0.0/120", ["10.0.0.255", "::ffff:10.0.0.1"], ["10.0.1.0"]],
      ["10.0.0.5,10.1.0.0/16,fd00::/8", ["10.0.0.5", "10.1.2.3", "fd00::1"], ["10.0.0.6"]],
      ["127.0.0.1", ["127.0.0.1"], ["", "localhost", "127.0.0.1:80", "fe80::1%eth0"]],
    ] as const
  ) {
    it(`finds the addresses of ${list} and no others`, () => {
      for (const address of inside) assertEquals([address, isIn(list, address)], [address, true]);
      for (const address of outside) assertEquals([address, isIn(list, address)], [address, false]);
    });
  }

  it("finds no address in an empty list", () => {
    assertEquals(isWithin(parseNetworks(""), "127.0.0.1"), false);
  });
});

describe("wrongNetwork()", () => {
  for (
    const entry of [
      "10.0.0",
      "10.0.0.256",
      "10.0.0.05",
      "10.0.0.0x5",
      "10.0.0.5.",
      "10.0.0.5:80",
      "10.0.0.0/33",
      "10.0.0.0/",
      "10.0.0.0/08",
      "10.0.0.0/-1",
      "10.0.0.0/8/8",
      "/8",
      " 10.0.0.5",
      "localhost",
      "fd00::/129",
      "fd00::1::",
      "fd00",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "::12345",
      "::1]/",
      "[::1]",
      "fe80::1%1",
      "*",
      "",
    ]
  ) {
    it(`refuses the entry "${entry}"`, () => {
      assertEquals(
        wrongNetwork(`10.0.0.1,${entry}`),
        `holds "${entry}", which is no IP address and no network, as in ` +
          "10.0.0.5,10.1.0.0/16,fd00::/8",
      );
    });
  }

  for (
    const [entry, mended] of [
      ["10.1.2.3/16", "10.1.0.0/16"],
      ["fd00::1/8", "fd00::/8"],
      ["::ffff:10.0.0.5/120", "10.0.0.0/24"],
      ["1.2.3.4/0", "0.0.0.0/0"],
    ] as const
  ) {
    it(`refuses the entry ${entry}, and tells to write ${mended}`, () => {
      assertEquals(wrongNetwork(entry), `holds "${entry}": write that network ${mended}`);
      assertEquals(wrongNetwork(mended), undefined);
    });
  }
});

describe("formatAddress()", () => {
  for (
    const [digits, address] of [
      ["0a000005", "10.0.0.5"],
      ["ffffffff", "255.255.255.255"],
      ["00000000", "0.0.0.0"],
      ["00000000000000000000000000000000", "::"],
      ["00000000000000000000000000000001", "::1"],
      ["20010db8000000000000000000000001", "2001:db8::1"],
      ["00010000000200000000000300000000", "1:0:2::3:0:0"],
      ["00010000000200030004000500060007", "1:0:2:3:4:5:6:7"],
      ["00000000000000000000ffff0a000005", "10.0.0.5"],
    ] as const
  ) {
    it(`writes the bytes ${digits} as ${address}`, () => {
      assertEquals(formatAddress(Uint8Array.fromHex(digits)), address);
    });
  }
});

describe("formatHostPort()", () => {
  it("puts an IPv6 address into brackets", () => {
    assertEquals(formatHostPort({ hostname: "127.0.0.1", port: 1 }), "127.0.0.1:1");
    assertEquals(formatHostPort({ hostname: "::1", port: 31337 }), "[::1]:31337");
  });
});

describe("shareNetwork()", () => {
  for (
    const [address, network] of [
      ["127.0.0.1", "127.0.0.1"],
      ["2001:db8:1:2::5", "2001:db8:1:2::/64"],
      ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
      ["2001:db8::5", "2001:db8:0:0::/64"],
      ["::1", "0:0:0:0::/64"],
      ["::3:4:5:6:7", "0:0:0:3::/64"],
      ["64:ff9b::10.0.0.5", "64:ff9b:0:0::/64"],
      ["::2:3:4:5:10.0.0.5", "0:0:2:3::/64"],
      ["fe80::1%eth0", "fe80:0:0:0::/64"],
      ["10.0.0.5#5f0c21d49be7a603", "10.0.0.5"],
      ["::1#5f0c21d49be7a603", "0:0:0:0::/64"],
    ] as const
  ) {
    it(`of ${address} is ${network}`, () => assertEquals(shareNetwork(address), network));
  }
});

describe("parseAddress()", () => {
  it("writes an address in one way, and takes nothing else", () => {
    assertEquals(
      [
        "10.0.0.5",
        "::ffff:10.0.0.5",
        "2001:DB8:0::5",
        "",
        "10.0.0",
        "10.0.0.0/8",
        "unknown",
        "fe80::1%eth0",
      ]
        .map(parseAddress),
      ["10.0.0.5", "10.0.0.5", "2001:db8::5", ...Array(5).fill(undefined)],
    );
  });
});

describe("parseHost()", () => {
  it("takes off a port and brackets", () => {
    assertEquals(
      ["a.example", "a.example:80", "[::1]", "[::1]:80", "::1", "10.0.0.5:1"].map(parseHost),
      ["a.example", "a.example", "::1", "::1", "::1", "10.0.0.5"],
    );
  });
});
