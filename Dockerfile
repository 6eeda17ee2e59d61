FROM denoland/deno:alpine-2.9.6

WORKDIR /app
COPY deno.json deno.lock main.ts ./
COPY lib lib
RUN deno cache --frozen main.ts lib/cli/terminal.ts lib/http/http_server.ts lib/http/metrics.ts lib/engine/cluster.ts && chmod -R a+rX /deno-dir

USER deno
EXPOSE 31337 8080
HEALTHCHECK --interval=10s --timeout=6s --start-period=5s \
  CMD ["deno", "run", "--no-prompt", "--cached-only", "--allow-net", "main.ts", "ping", "127.0.0.1:31337"]
# deno itself, not npx or a shell: it must get the signals.
ENTRYPOINT ["deno", "run", "--no-prompt", "--cached-only", \
  "--v8-flags=--max-inlined-bytecode-size-cumulative=4000,--max-inlined-bytecode-size=1000", \
  "--allow-net", "main.ts"]
CMD ["serve"]
