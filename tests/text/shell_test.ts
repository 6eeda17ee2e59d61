import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { shellWord } from "../../lib/text/shell.ts";
import { itNeeds } from "../needs.ts";

const WORDS = [
  "chat.db",
  "a b",
  "it's",
  '"',
  "$HOME",
  "`id`",
  "\\",
  "\\'",
  "a\nb",
  "a\n1'\\\t",
  "~/x",
  "*",
  "",
  "#",
  "!x",
  "-x",
  "--data=$x y",
  "--allow-read=a'b\nc",
  "привет",
  "\u200d\u00a0\u{e0041}",
];

describe("shellWord()", () => {
  itNeeds(
    { permissions: ["run"], programs: ["bash"] },
    "is read by a shell as the text, from one line of what can be seen",
    () => {
      for (const word of WORDS) {
        const line = shellWord(word);
        assertEquals(/[\p{Cc}\p{Cf}]/u.test(line), false, line);
        const args = ["-c", `printf %s ${line}`];
        const { stdout } = new Deno.Command("bash", { args }).outputSync();
        assertEquals(new TextDecoder().decode(stdout), word, line);
      }
    },
  );

  it("leaves a plain word as it is, and the flag before a value", () => {
    assertEquals(shellWord("--allow-read=/srv/chat.db"), "--allow-read=/srv/chat.db");
    assertEquals(shellWord("--allow-read=a b"), "--allow-read='a b'");
  });
});
