/** Logins and certificates for NATS: the flags that name files, with a real nats-server. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe } from "@std/testing/bdd";
import { NATS, Nats } from "./nats.ts";
import { refusal } from "./nats_chat.ts";
import { itNeeds, type Needs } from "../needs.ts";
import { Peer } from "../peer.ts";
import { serveIn } from "../support.ts";

const TLS: Needs = { ...NATS, programs: [...NATS.programs!, "openssl"] };

/** Files in a temporary folder, which is removed with them. */
class Files implements Disposable {
  readonly #folder = Deno.makeTempDirSync();

  path(name: string): string {
    return `${this.#folder}/${name}`;
  }

  write(name: string, text: string): string {
    Deno.writeTextFileSync(this.path(name), text);
    return this.path(name);
  }

  /** Makes a key and a certificate, signed by an authority or by itself. */
  async certify(name: string, authority?: string, host = "IP:127.0.0.1"): Promise<void> {
    const [key, certificate] = [this.path(`${name}.key`), this.path(`${name}.pem`)];
    const { success, stderr } = await new Deno.Command("openssl", {
      args: [
        ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
        ...["-keyout", key, "-out", certificate, "-subj", `/CN=${name}`],
        ...authority === undefined ? [] : [
          ...["-addext", `subjectAltName=${host}`, "-addext", "basicConstraints=CA:FALSE"],
          ...["-CA", this.path(`${authority}.pem`), "-CAkey", this.path(`${authority}.key`)],
        ],
      ],
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

/** A server with these flags takes part in the chat, and stores a registration. */
async function assertServes(nats: Nats, ...flags: string[]): Promise<void> {
  await using server = await serveIn(nats, ...flags);
  using al = await Peer.connect(server.port);
  assertEquals(await al.ask("register", "Al"), "Hello, Al");
  assertEquals(await al.ask("logout"), "U've been successfully logouted");
}

describe("--nats-creds", () => {
  itNeeds(NATS, "names a file with a user and a password, colons and all", async () => {
    using files = new Files();
    await using nats = await Nats.start(1, "--user", "chat", "--pass", "se:cret");
    await assertServes(nats, "--nats-creds", files.write("login", "chat:se:cret\n"));
    const wrong = await refusal(nats, "--nats-creds", files.write("wrong", "chat:other"));
    assertStringIncludes(wrong, `It does not take the login in ${files.path("wrong")}`);
    assertStringIncludes(await refusal(nats), "It wants a login: --nats-creds names a file");
  });

  itNeeds(NATS, "names a file with a token", async () => {
    using files = new Files();
    await using nats = await Nats.start(1, "--auth", "secret");
    await assertServes(nats, "--nats-creds", files.write("token", "secret\n"));
  });

  itNeeds(
    NATS,
    "names a file that is not there, or empty, or torn: the server says which",
    async () => {
      using files = new Files();
      await using nats = await Nats.start();
      const path = files.path("absent");
      assertStringIncludes(await refusal(nats, "--nats-creds", path), `${path} can't be read`);
      const empty = files.write("empty", "\n");
      assertStringIncludes(await refusal(nats, "--nats-creds", empty), `${empty} is empty`);
      const torn = files.write("torn", "-----BEGIN NATS USER JWT-----\ncut");
      assertStringIncludes(
        await refusal(nats, "--nats-creds", torn),
        `Is ${torn} a whole .creds file?`,
      );
    },
  );
});

describe("--nats-ca, --nats-cert and --nats-key", () => {
  itNeeds(TLS, "prove both sides to each other", async () => {
    using files = new Files();
    await files.certify("authority");
    await files.certify("nats", "authority");
    await files.certify("chat", "authority");
    await files.certify("stranger");
    const [authority, key, certificate] = [
      files.path("authority.pem"),
      files.path("nats.key"),
      files.path("nats.pem"),
    ];
    await using nats = await Nats.start(
      1,
      ...["--tlsverify", "--tlscert", certificate, "--tlskey", key, "--tlscacert", authority],
    );
    const proof = ["--nats-cert", files.path("chat.pem"), "--nats-key", files.path("chat.key")];
    await assertServes(nats, "--nats-ca", authority, ...proof);
    const strange = await refusal(nats, "--nats-ca", files.path("stranger.pem"), ...proof);
    assertStringIncludes(strange, "--nats-ca names the authority");
    assertStringIncludes(
      await refusal(nats, "--nats-ca", authority),
      "It may want a certificate: --nats-cert and --nats-key name one",
    );
  });

  itNeeds(
    TLS,
    "refuse a certificate of localhost from a server with a numeric address",
    async () => {
      using files = new Files();
      await files.certify("authority");
      await files.certify("nats", "authority", "DNS:localhost");
      await using nats = await Nats.start(
        1,
        ...["--tls", "--tlscert", files.path("nats.pem"), "--tlskey", files.path("nats.key")],
      );
      const wrong = await refusal(nats, "--nats-ca", files.path("authority.pem"));
      assertStringIncludes(wrong, "127.0.0.1 is not in the cert's list");
    },
  );
});
