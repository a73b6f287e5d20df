"""Calls by the providers' own SDKs: OpenAI, Anthropic, Google, Bedrock."""

# mypy: ignore-errors
from __future__ import annotations

from orders import PATIENCE_SECONDS, Call, failures

CHAT = "gpt-4o"
CLAUDE = "claude-sonnet-4-5"
GEMINI = "gemini-2.5-flash"
BEDROCK = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPENAI_ORDERS = [
    ("openai", order) for order in ("ok", "cached", "reasoning")
] + failures("openai", "400 policy 401 402 403 404 429 quota 500 503") + [("openai", "slow")]  # fmt: skip
ANTHROPIC_ORDERS = [
    ("anthropic", order) for order in ("ok", "cached", "written", "written 1h")
] + failures("anthropic", "400 balance 401 403 404 429 500 529") + [("anthropic", "slow")]  # fmt: skip
GOOGLE_ORDERS = [
    ("google", order) for order in ("ok", "cached", "reasoning")
] + failures("google", "400 key 403 404 429 500 503") + [("google", "slow")]  # fmt: skip
BEDROCK_ORDERS = [
    ("bedrock", order) for order in ("ok", "cached", "written")
] + failures("bedrock", "400 403 404 429 500 503") + [("bedrock", "slow")]  # fmt: skip


def messages(order: str) -> list:
    return [{"role": "user", "content": order}]


def openai_calls(upstream: str) -> list[Call]:
    """Chat completions, responses and embeddings, whole and in streams."""
    import openai

    client = openai.OpenAI(
        base_url=f"{upstream}/v1", api_key="sk-fake", max_retries=0, timeout=PATIENCE_SECONDS
    )

    def chat(order):
        return client.chat.completions.create(model=CHAT, messages=messages(order), temperature=0.5).id

    def chat_stream(order):
        stream = client.chat.completions.create(
            model=CHAT, messages=messages(order), stream=True, stream_options={"include_usage": True}
        )
        return [chunk.id for chunk in stream][-1]

    def response(order):
        return client.responses.create(model=CHAT, input=order).id

    def response_stream(order):
        events = list(client.responses.create(model=CHAT, input=order, stream=True))
        return events[-1].response.id

    def embedding(order):
        client.embeddings.create(model="text-embedding-3-small", input=order)

    calls = [Call(wire, order, _bound(chat, order)) for wire, order in OPENAI_ORDERS]
    calls += [
        Call("openai", order, _bound(chat_stream, order), stream=True)
        for order in ("ok", "cached", "reasoning", "fail 429", "break")
    ]
    calls += [
        Call("openai", order, _bound(response, order), "responses")
        for order in ("ok", "cached", "reasoning", "fail 429", "fail 400")
    ]
    calls += [
        Call("openai", order, _bound(response_stream, order), "responses", stream=True)
        for order in ("ok", "cached", "fail 429")
    ]
    calls += [
        Call("openai", order, _bound(embedding, order), "embeddings") for order in ("embed", "fail 429")
    ]
    return calls


def anthropic_calls(upstream: str) -> list[Call]:
    """Messages, whole and in streams."""
    import anthropic

    client = anthropic.Anthropic(
        base_url=upstream, api_key="sk-ant-fake", max_retries=0, timeout=PATIENCE_SECONDS
    )

    def whole(order):
        return client.messages.create(model=CLAUDE, max_tokens=2000, messages=messages(order)).id

    def stream(order):
        events = list(
            client.messages.create(model=CLAUDE, max_tokens=2000, messages=messages(order), stream=True)
        )
        return events[0].message.id

    def helper(order):
        with client.messages.stream(model=CLAUDE, max_tokens=2000, messages=messages(order)) as found:
            return found.get_final_message().id

    calls = [Call(wire, order, _bound(whole, order)) for wire, order in ANTHROPIC_ORDERS]
    calls += [
        Call("anthropic", order, _bound(stream, order), stream=True)
        for order in ("ok", "cached", "written", "fail 429", "break")
    ]
    calls += [
        Call("anthropic", order, _bound(helper, order), "stream helper", stream=True)
        for order in ("ok", "fail 529")
    ]
    return calls


def google_calls(upstream: str) -> list[Call]:
    """generateContent, whole and in streams."""
    from google import genai
    from google.genai import types

    options = types.HttpOptions(base_url=upstream, timeout=PATIENCE_SECONDS * 1000)
    client = genai.Client(api_key="fake", http_options=options)

    def whole(order):
        return client.models.generate_content(model=GEMINI, contents=order).response_id

    def stream(order):
        return list(client.models.generate_content_stream(model=GEMINI, contents=order))[-1].response_id

    calls = [Call(wire, order, _bound(whole, order)) for wire, order in GOOGLE_ORDERS]
    calls += [
        Call("google", order, _bound(stream, order), stream=True)
        for order in ("ok", "cached", "fail 429", "break")
    ]
    return calls


def bedrock_calls(upstream: str) -> list[Call]:
    """Converse, whole and in streams."""
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=upstream,
        region_name="us-east-1",
        aws_access_key_id="fake",
        aws_secret_access_key="fake",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=PATIENCE_SECONDS),
    )

    def asked(order):
        return {"modelId": BEDROCK, "messages": [{"role": "user", "content": [{"text": order}]}]}

    def whole(order):
        return client.converse(**asked(order))["ResponseMetadata"]["RequestId"]

    def stream(order):
        answer = client.converse_stream(**asked(order))
        list(answer["stream"])
        return answer["ResponseMetadata"]["RequestId"]

    calls = [Call(wire, order, _bound(whole, order)) for wire, order in BEDROCK_ORDERS]
    calls += [
        Call("bedrock", order, _bound(stream, order), stream=True) for order in ("ok", "cached", "fail 429")
    ]
    return calls


def _bound(make, order):
    return lambda: make(order)
