/** Clients that speak another protocol, and text without lengths. Pure. */
import { counted } from "../../text/phrases.ts";
import { PROXY_SIGNATURE } from "../proxy_protocol.ts";
import { LENGTH_BYTES } from "../frame.ts";
import {
  type Evidence,
  expectedFrame,
  isCommand,
  isFirst,
  isReadable,
  latin1,
  shown,
  utf8,
  wordAt,
} from "./evidence.ts";
import type { Finding } from "./finding.ts";

const HTTP_METHODS = "GET HEAD POST PUT DELETE OPTIONS PATCH CONNECT TRACE PRI".split(" ");

/** The first bytes of other protocols. */
const PROTOCOLS: readonly (readonly [start: RegExp, name: string])[] = [
  [/^SSH-/, "SSH"],
  [/^\*\d+\r\n\$/, "Redis"],
  [/^\p{Cc}.{1,3}\0.MQTT/su, "MQTT"],
  [/^(?:CAP LS|NICK |USER )/, "IRC"],
  [/^(?:EHLO|HELO) /, "SMTP"],
  [/^<\?xml|^<stream:/, "XMPP"],
  [/^\xff[\xfb-\xfe]/, "telnet, which negotiates options,"],
];

/** The mistake of a client that speaks another protocol where a command should begin. */
export function otherProtocol(seen: Evidence): Finding | undefined {
  if (seen.command !== undefined) return undefined;
  const { bytes, isProxied } = seen;
  if (isTls(bytes)) {
    const rule =
      "This is a TLS hello, but this port takes no TLS (https, ssl). Connect without TLS";
    return { code: "tls", rule };
  }
  if (isHttp(bytes)) return http(seen);
  if (isProxyHeader(bytes)) {
    const rule = isProxied
      ? "So begins a second header of the PROXY protocol, but one was read already, and only the " +
        "proxy next to this server may send it. Behind another proxy it must read that one's header " +
        "itself (accept-proxy in HAProxy), and send this server the user's address in its own"
      : "So begins a header of the PROXY protocol, but your address is not in --proxy-protocol. If " +
        "it is a proxy's, add it to that list; a client begins with the length of a command";
    return { code: "proxy-header", rule };
  }
  const name = PROTOCOLS.find(([start]) => start.test(latin1(bytes)))?.[1];
  if (name === undefined) return undefined;
  const rule = `This is the beginning of ${name} but this port speaks the chat's own protocol. ` +
    "Send frames: a 4-byte little-endian length, then that many bytes";
  return { code: "other-protocol", rule: rule.replace(/(?<!,) but/, ", but"), ...asLine(seen) };
}

function http(seen: Evidence): Finding {
  const { pagePort } = seen;
  const isUpgrade = /\nupgrade: *websocket/i.test(latin1(seen.bytes, 512));
  const what = isUpgrade ? "a WebSocket handshake" : "an HTTP request";
  const page = pagePort === undefined
    ? `This server has ${isUpgrade ? "no port for WebSockets" : "no page"}: --http PORT opens one`
    : isUpgrade
    ? `WebSockets are served on the port of the page: ws://HOST:${pagePort}/ws`
    : `The page is on port ${pagePort}`;
  const rule = `This is ${what}, but this port speaks the chat's own protocol: a 4-byte ` +
    `little-endian length, then that many bytes. ${page}`;
  return { code: "http", rule, ...isFirst(seen) && { dialect: "http" } };
}

/** Text where a length should be. */
export function plainText(seen: Evidence): Finding | undefined {
  const { bytes, past } = seen;
  if (!isText(seen)) return undefined;
  const last = past.at(-1)?.payload;
  if (last !== undefined && bytes.length < LENGTH_BYTES && seen.expected === "command") {
    return fewBytes(seen, last);
  }
  const rule =
    `This is text where the length of ${expectedFrame(seen)} should be. Send its 4-byte ` +
    "little-endian length first: users is 05 00 00 00 75 73 65 72 73" +
    (isFirst(seen) ? " (from nc: printf '\\5\\0\\0\\0users' | nc -w1 HOST PORT)" : "") +
    (last !== undefined && !isCommand(seen, last) && !/[\r\n]$/.test(latin1(bytes))
      ? `. If it belongs to the text before, that one's length is ${bytes.length} too small`
      : "");
  const text = /^[^\r\n]*\r?\n$/.test(latin1(bytes))
    ? bytes.subarray(0, bytes.findLastIndex((byte) => !/\s/.test(String.fromCharCode(byte))) + 1)
    : bytes;
  return { code: "plain-text", rule, seen: `It is ${shown(text)}`, ...asLine(seen) };
}

/** A few readable bytes behind a frame: the end of its text, or something else. */
function fewBytes(seen: Evidence, last: Uint8Array): Finding {
  const count = counted(seen.bytes.length, "byte");
  const verb = seen.bytes.length === 1 ? "belongs" : "belong";
  const cause = isCommand(seen, last)
    ? "Is it a separator or a checksum? Send the frames alone"
    : `If it belongs to the text before, that one's length is ${seen.bytes.length} too small. Or is it ` +
      "a separator or a checksum? Send the frames alone";
  const rule = `${count} behind a frame ${verb} to no frame. ${cause}`;
  return { code: "bytes-between", rule, seen: `It is ${shown(seen.bytes)}` };
}

/** Who sends text without lengths reads the answer as a line of text. */
function asLine(seen: Evidence): Pick<Finding, "dialect"> {
  return isFirst(seen) && isText(seen) ? { dialect: "line" } : {};
}

/** Do the bytes begin as text? A line end alone is text too, as the enter key in nc sends it. */
function isText(seen: Evidence): boolean {
  const { bytes } = seen;
  if (wordAt(seen, bytes) !== undefined) return true;
  // A NUL at the end of a C string is sent with it.
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
  const start = bytes.subarray(0, Math.min(2 * LENGTH_BYTES, end));
  return isReadable(start) &&
    /[\p{L}\p{N}\p{P}\p{S}]|^[\r\n]+$/u.test(utf8(start) ?? latin1(start));
}

/** Do the bytes begin as the first message of TLS? */
function isTls(bytes: Uint8Array): boolean {
  return bytes.length >= 3 && bytes[0] === 0x16 && bytes[1] === 3 && bytes[2]! <= 4;
}

/** Do the bytes begin as an HTTP request? At least 4 bytes must have arrived. */
function isHttp(bytes: Uint8Array): boolean {
  const text = latin1(bytes);
  return text.length >= LENGTH_BYTES &&
    HTTP_METHODS.some((method) => `${method} `.startsWith(text) || text.startsWith(`${method} `));
}

/** Do the bytes begin as a PROXY header? Its first 4 bytes, as a length, are over every limit. */
function isProxyHeader(bytes: Uint8Array): boolean {
  return /^PROXY (?:TCP[46]|UNKNOWN)/.test(latin1(bytes)) ||
    PROXY_SIGNATURE.subarray(0, LENGTH_BYTES).every((byte, at) => byte === bytes[at]);
}
