"""Calls by frameworks over the providers' SDKs: LangChain, the OpenAI Agents SDK, Pydantic AI."""

# mypy: ignore-errors
from __future__ import annotations

import asyncio

from orders import PATIENCE_SECONDS, Call
from sdk_calls import CHAT, CLAUDE, OPENAI_ORDERS, messages


def langchain_calls(upstream: str) -> list[Call]:
    """A chain of a prompt and a chat model, whole and in streams."""
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(
        model=CHAT,
        base_url=f"{upstream}/v1",
        api_key="sk-fake",
        max_retries=0,
        timeout=PATIENCE_SECONDS,
        stream_usage=True,
    )
    chain = ChatPromptTemplate.from_messages([("user", "{order}")]) | model

    def whole(order):
        return chain.invoke({"order": order}).response_metadata.get("id")

    def stream(order):
        for _ in chain.stream({"order": order}):
            pass

    calls = [Call(wire, order, _bound(whole, order)) for wire, order in OPENAI_ORDERS]
    calls += [
        Call("openai", order, _bound(stream, order), stream=True)
        for order in ("ok", "cached", "reasoning", "fail 429", "break")
    ]
    return calls


def langsmith_calls(upstream: str) -> list[Call]:
    """LangChain's calls, and those of OpenAI's SDK as LangSmith wraps it."""
    import openai
    from langsmith.wrappers import wrap_openai

    client = wrap_openai(
        openai.OpenAI(base_url=f"{upstream}/v1", api_key="sk-fake", max_retries=0, timeout=PATIENCE_SECONDS)
    )

    def whole(order):
        return client.chat.completions.create(model=CHAT, messages=messages(order)).id

    def stream(order):
        chunks = client.chat.completions.create(
            model=CHAT, messages=messages(order), stream=True, stream_options={"include_usage": True}
        )
        return [chunk.id for chunk in chunks][-1]

    def response(order):
        return client.responses.create(model=CHAT, input=order).id

    calls = langchain_calls(upstream)
    calls += [
        Call("openai", order, _bound(whole, order), "wrapped chat")
        for order in ("ok", "cached", "reasoning", "fail 429", "fail quota", "fail 401")
    ]
    calls += [
        Call("openai", order, _bound(stream, order), "wrapped chat", stream=True)
        for order in ("ok", "cached", "fail 429")
    ]
    calls += [
        Call("openai", order, _bound(response, order), "wrapped responses")
        for order in ("ok", "cached", "reasoning", "fail 429")
    ]
    return calls


def agents_calls(upstream: str) -> list[Call]:
    """Runs of an agent, each with one call of the responses API."""
    import agents
    import openai

    client = openai.AsyncOpenAI(
        base_url=f"{upstream}/v1", api_key="sk-fake", max_retries=0, timeout=PATIENCE_SECONDS
    )
    models = {
        "responses": agents.OpenAIResponsesModel(CHAT, client),
        "chat": agents.OpenAIChatCompletionsModel(CHAT, client),
    }
    loop = asyncio.new_event_loop()

    def whole(api, order):
        agent = agents.Agent(name="helper", model=models[api])
        return loop.run_until_complete(agents.Runner.run(agent, order)).raw_responses[-1].response_id

    async def streamed(api, order):
        found = agents.Runner.run_streamed(agents.Agent(name="helper", model=models[api]), order)
        async for _ in found.stream_events():
            pass
        return found.raw_responses[-1].response_id

    calls = [
        Call(wire, order, lambda order=order: whole("responses", order), "responses")
        for wire, order in OPENAI_ORDERS
    ]
    calls += [
        Call(
            "openai",
            order,
            lambda order=order: loop.run_until_complete(streamed("responses", order)),
            "responses",
            stream=True,
        )
        for order in ("ok", "cached", "fail 429")
    ]
    calls += [
        Call("openai", order, lambda order=order: whole("chat", order))
        for order in ("ok", "cached", "fail 401")
    ]
    return calls


def pydantic_calls(upstream: str) -> list[Call]:
    """Runs of an agent over OpenAI's and Anthropic's models."""
    import anthropic
    import openai
    from pydantic_ai import Agent
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.anthropic import AnthropicProvider
    from pydantic_ai.providers.openai import OpenAIProvider

    patience = {"max_retries": 0, "timeout": PATIENCE_SECONDS}
    of_openai = OpenAIProvider(
        openai_client=openai.AsyncOpenAI(base_url=f"{upstream}/v1", api_key="sk-fake", **patience)
    )
    of_anthropic = AnthropicProvider(
        anthropic_client=anthropic.AsyncAnthropic(base_url=upstream, api_key="sk-ant-fake", **patience)
    )
    chat = Agent(OpenAIChatModel(CHAT, provider=of_openai))
    responses = Agent(OpenAIResponsesModel(CHAT, provider=of_openai))
    claude = Agent(AnthropicModel(CLAUDE, provider=of_anthropic))
    loop = asyncio.new_event_loop()

    def whole(agent, order):
        return loop.run_until_complete(agent.run(order)).response.provider_response_id

    async def streamed(agent, order):
        async with agent.run_stream(order) as found:
            await found.get_output()
            return found.response.provider_response_id

    def stream(agent, order):
        return loop.run_until_complete(streamed(agent, order))

    calls = [Call(wire, order, lambda order=order: whole(chat, order)) for wire, order in OPENAI_ORDERS]
    calls += [
        Call("openai", order, lambda order=order: stream(chat, order), stream=True)
        for order in ("ok", "cached", "fail 429")
    ]
    calls += [
        Call("openai", order, lambda order=order: whole(responses, order), "responses")
        for order in ("ok", "cached", "reasoning", "fail 400")
    ]
    calls += [
        Call("anthropic", order, lambda order=order: whole(claude, order))
        for order in ("ok", "cached", "written", "fail balance", "fail 529")
    ]
    return calls


def _bound(make, order):
    return lambda: make(order)
