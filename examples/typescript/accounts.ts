// Calls the service as every caller should: by its service config, and by what its refusals say.

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import protobuf from "protobufjs";

import { InstagramAccountServiceClient } from "./gen/instagram/accounts/v1/instagram_account_service.js";

const address = process.env.ACCOUNTS_ADDRESS ?? "127.0.0.1:50051";
// Timeouts of the calls, and which of them gRPC itself makes again.
const file = new URL("../../../proto/instagram/accounts/v1/service_config.json", import.meta.url);
const serviceConfig = readFileSync(file, "utf8");
// Maximum number of tries of a call, and maximum milliseconds between two, when the service says when to come back.
const attempts = 3;
const maxRetryDelay = 10_000;
// Maximum milliseconds that gRPC waits before it connects again.
const maxReconnectDelay = 2_000;

// The messages of google.rpc that go with a refused call, as far as they are read here.
const rpc = protobuf.parse(`
  syntax = "proto3";
  package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { repeated Any details = 3; }
  message ErrorInfo { string reason = 1; map<string, string> metadata = 3; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }
`).root;

// Connects to the service, once something is called.
export function connect(): InstagramAccountServiceClient {
  // In production grpc.credentials.createSsl, and your bearer by grpc.credentials.combineChannelCredentials.
  return new InstagramAccountServiceClient(address, grpc.credentials.createInsecure(), {
    "grpc.service_config": serviceConfig, "grpc.max_reconnect_backoff_ms": maxReconnectDelay,
  });
}

// Makes one call, and again when the service says after which time that may help.
export async function call<Answer>(
  send: (...how: [grpc.Metadata, (error: grpc.ServiceError | null, answer: Answer) => void]) => void,
): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await new Promise((resolve, reject) => {
        // The one thing of a method's config that this library does not read there: wait for a service that starts.
        const metadata = new grpc.Metadata({ waitForReady: true });
        send(metadata, (error, answer) => (error ? reject(error) : resolve(answer)));
      });
    } catch (error) {
      const delay = retryDelay(error);
      if (delay === undefined || attempt === attempts || delay > maxRetryDelay) throw error;
      await sleep(delay);
    }
  }
}

// The stable reason of a refused call, if it has one.
export function reason(error: unknown): string | undefined {
  return detail(error, "ErrorInfo")?.reason;
}

// The milliseconds after which the same call may help, where the service says so.
export function retryDelay(error: unknown): number | undefined {
  const delay = detail(error, "RetryInfo")?.retryDelay;
  return delay && Number(delay.seconds) * 1_000 + delay.nanos / 1e6;
}

// Puts the stable reason first, and what goes with it last.
export function explain(error: unknown): string {
  const { message } = error as Error;
  const info = detail(error, "ErrorInfo");
  return info ? `${info.reason}: ${message} ${JSON.stringify(info.metadata)}` : message;
}

// What of this kind goes with the status of a refused call, if anything.
function detail(error: unknown, kind: "ErrorInfo" | "RetryInfo"): any {
  const [bytes] = (error as Partial<grpc.ServiceError>).metadata?.get("grpc-status-details-bin") ?? [];
  if (!bytes) return undefined;
  const status: any = rpc.lookupType("google.rpc.Status").decode(bytes as Buffer);
  const packed = status.details.find((any: any) => any.typeUrl.endsWith(`/google.rpc.${kind}`));
  return packed && rpc.lookupType(`google.rpc.${kind}`).decode(packed.value);
}
