/** A listener that does nothing else: as fast as a server in Deno can start. */
const { addr } = Deno.listen({ hostname: "127.0.0.1", port: 0 });
console.log(`listens on ${addr.hostname}:${addr.port}`);
