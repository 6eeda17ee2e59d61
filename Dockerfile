FROM denoland/deno:alpine-2.9.6

WORKDIR /app
COPY deno.json deno.lock main.ts ./
COPY lib lib
# main.ts imports every subcommand, and each the packages that its flags need.
RUN deno cache --frozen main.ts && chmod -R a+rX /deno-dir

USER deno
EXPOSE 31337 8080
HEALTHCHECK --interval=10s --timeout=6s --start-period=5s \
  CMD ["deno", "run", "--no-prompt", "--cached-only", "--allow-net", "main.ts", "ping", "127.0.0.1:31337"]
# The entry point is deno itself, which gets the signals: npx and a shell do not pass them on.
ENTRYPOINT ["deno", "run", "--no-prompt", "--cached-only", "--allow-net", "main.ts"]
CMD ["serve"]
