# The service's image is the last stage, so `docker build .` makes it; `docker build --target sandbox .` makes the
# stand-in for Instagram, which is never in it. Needs BuildKit (Docker 23 or newer) or Podman.

FROM docker.io/library/rust:1.95.0-bookworm AS build
WORKDIR /source
COPY . .
# Downloaded crates and compiled dependencies are kept between builds. Cargo compares file times only, and a checkout may
# bring other code with older times, so every file of the workspace is made newer than whatever was compiled before. The
# lock keeps a build from compiling between another one's touch and its cargo.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,id=instagram-accounts-target,target=/source/target,sharing=locked \
    find . -path ./target -prune -o -type f -exec touch {} + \
    && cargo build --locked --release --package ig-service --package ig-sandbox \
    && install -D --target-directory=/programs \
        target/release/instagram-accounts target/release/instagram-sandbox

# The Debian of the build stage, so that the C library is the one that was linked against.
FROM docker.io/library/debian:bookworm-slim AS base
# The roots by which Instagram, and a PostgreSQL behind TLS, are known.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
# Where SQLite would lie: mount a volume here, or name a PostgreSQL. Nothing else is ever written.
RUN install --directory --owner=65532 --group=65532 --mode=0700 /var/lib/instagram-accounts
WORKDIR /var/lib/instagram-accounts
USER 65532:65532

FROM base AS sandbox
COPY --from=build /programs/instagram-sandbox /usr/local/bin/
ENV SANDBOX_LISTEN=0.0.0.0:8090
EXPOSE 8090
ENTRYPOINT ["instagram-sandbox"]

FROM base AS service
COPY --from=build /programs/instagram-accounts /usr/local/bin/
ENV GRPC_LISTEN=0.0.0.0:50051
ENV METRICS_LISTEN=0.0.0.0:9464
EXPOSE 50051 9464
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["instagram-accounts", "healthcheck"]
ENTRYPOINT ["instagram-accounts"]
CMD ["serve"]
