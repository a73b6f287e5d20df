// The real Vercel AI SDK with its telemetry: makes calls, and prints what it knows of each as JSON lines.
// Runs beside its node_modules, where it is copied to: node vercel_calls.mjs UPSTREAM CONSOLE KEY.
import { createOpenAI } from "@ai-sdk/openai";
import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import * as sdk from "@opentelemetry/sdk-trace";
import { embed, generateObject, generateText, streamText } from "ai";
import { z } from "zod";

const PATIENCE_MS = 2000;
const [upstream, consoleUrl, key] = process.argv.slice(2);
const exporter = new OTLPTraceExporter({
  url: `${consoleUrl}/v1/traces`,
  headers: { Authorization: `Bearer ${key}` },
});
const provider = new sdk.TracerProvider({
  resource: resourceFromAttributes({ "service.name": "test-app" }),
  spanProcessors: [new sdk.BatchSpanProcessor({ exporter })],
});
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
trace.setGlobalTracerProvider(provider);

const openai = createOpenAI({ baseURL: `${upstream}/v1`, apiKey: "sk-fake" });
const MODELS = { chat: openai.chat("gpt-4o"), responses: openai.responses("gpt-4o") };
const embedding = openai.textEmbeddingModel("text-embedding-3-small");
const common = () => ({
  experimental_telemetry: { isEnabled: true, functionId: "test", metadata: { userId: "u-1007" } },
  maxRetries: 0,
  abortSignal: AbortSignal.timeout(PATIENCE_MS),
});

async function call(api, order, stream) {
  if (api === "embeddings") {
    await embed({ model: embedding, value: order, ...common() });
    return null;
  }
  const asked = { model: MODELS[api], prompt: order, ...common() };
  if (!stream) {
    const answer = await generateText(asked);
    return answer.response.id;
  }
  let failed;
  const answer = streamText({ ...asked, onError: ({ error }) => { failed = error; } });
  await answer.consumeStream();
  if (failed) throw failed;
  return (await answer.response).id;
}

const refusals = ["400", "policy", "401", "402", "403", "404", "429", "quota", "500", "503"];
const calls = [
  ...["ok", "cached", "reasoning"].map((order) => ["chat", order, false]),
  ...refusals.map((name) => ["chat", `fail ${name}`, false]),
  ["chat", "slow", false],
  ...["ok", "cached", "reasoning", "fail 429", "break"].map((order) => ["chat", order, true]),
  ...["ok", "cached", "reasoning", "fail 429"].map((order) => ["responses", order, false]),
  ...["ok", "cached", "fail 429"].map((order) => ["responses", order, true]),
  ["embeddings", "embed", false],
  ["embeddings", "fail 429", false],
];
for (const [api, order, stream] of calls) {
  const told = { wire: "openai", order, api, stream };
  try {
    told.id = await call(api, order, stream);
  } catch (error) {
    told.raised = error.name;
    told.said = String(error.message).slice(0, 300);
  }
  console.log(JSON.stringify(told));
  await new Promise((resolve) => setTimeout(resolve, 10));
}
await provider.forceFlush();
await provider.shutdown();
