"""Clients of others for peers.py, each used as its own documentation shows.

Usage: python peer_clients.py CLIENT SERVER ROWS IN_FLIGHT OUT   writes OUT/rows.jsonl, a line {"i", "content"} a row, and
prints {"pico"}: what the client itself says the calls cost, null if it says nothing. openai says nothing: its sum is ours.
"""
import asyncio
import json
import os
import pathlib
import sys
import urllib.request

client, server, rows, many, out = sys.argv[1:]
rows, many, out = int(rows), int(many), pathlib.Path(out)
with urllib.request.urlopen(server + "/prompt") as answer:
    prompt = json.load(answer)
form = {"type": "json_schema", "json_schema": {"name": "findings", "strict": True, "schema": prompt["schema"]}}
model = "gpt-4.1-mini"
os.environ.update(OPENAI_API_KEY="no-key", OPENAI_BASE_URL=server + "/v1", OPENAI_API_BASE=server + "/v1", LITELLM_LOCAL_MODEL_COST_MAP="True")


def report(i):  # as peerReport
    return f"Thorax CT, examination {i}. " + "The lungs are clear and the heart is of normal size. " * 11


def messages(i):
    return [{"role": "system", "content": prompt["system"]}, {"role": "user", "content": report(i)}]


def write(f, i, content):
    f.write(json.dumps({"i": i, "content": content}) + "\n")
    f.flush()


async def each(ask):
    """Asks about every row, so many at once; ask gives content and cost."""
    turn, spent = asyncio.Semaphore(many), []

    async def one(i, f):
        async with turn:
            try:
                content, pico = await ask(i)
            except Exception as e:
                print(type(e).__name__, file=sys.stderr)
                return
        write(f, i, content)
        spent.append(pico)

    with open(out / "rows.jsonl", "w") as f:
        await asyncio.gather(*(one(i, f) for i in range(rows)))
    return sum(spent)


async def openai_client():
    import openai

    with_retries = openai.AsyncOpenAI(max_retries=5)

    async def ask(i):
        r = await with_retries.chat.completions.create(model=model, messages=messages(i), response_format=form)
        u = r.usage
        cached = u.prompt_tokens_details.cached_tokens
        return r.choices[0].message.content, (u.prompt_tokens - cached) * 400_000 + cached * 100_000 + u.completion_tokens * 1_600_000

    return await each(ask)


async def litellm_client():
    import litellm

    async def ask(i):
        r = await litellm.acompletion(model="openai/" + model, messages=messages(i), response_format=form, num_retries=5)
        return r.choices[0].message.content, round(r._hidden_params["response_cost"] * 1e12)

    return await each(ask)


async def async_batch_llm_client():
    """Its store of results is a file that a second run goes on from; the loop around it is its own."""
    import async_batch_llm as abl
    import openai

    plain = openai.AsyncOpenAI(max_retries=0)

    async def invoke(i, *, attempt, timeout, state):
        r = await plain.chat.completions.create(model=model, messages=messages(int(i)), response_format=form)
        u = r.usage
        json.loads(r.choices[0].message.content)
        return abl.CallOutcome(r.choices[0].message.content, token_usage={"input_tokens": u.prompt_tokens, "output_tokens": u.completion_tokens, "total_tokens": u.total_tokens})

    identity = abl.ArtifactIdentity(provider="local", model=model)
    batch = await abl.process_prompts(
        abl.CallableStrategy(invoke, identity=identity), [(str(i), str(i)) for i in range(rows)],
        config=abl.ProcessorConfig(concurrency=many, attempt_timeout=60),
        artifact_store=abl.JsonlArtifactStore(out / "artifacts.jsonl", identity=identity), resume=abl.ResumePolicy.REUSE_SUCCESSES)
    with open(out / "rows.jsonl", "w") as f:
        for r in batch.results:
            if r.success:
                write(f, int(r.item_id), r.output)


def curator_client():
    import importlib.util

    # It counts tokens with a vocabulary that it would download; litellm, which it needs, ships the file.
    os.environ["TIKTOKEN_CACHE_DIR"] = str(pathlib.Path(importlib.util.find_spec("litellm").origin).parent / "litellm_core_utils/tokenizers")
    os.environ["CURATOR_DISABLE_RICH_DISPLAY"] = os.environ["TELEMETRY_ENABLED"] = "0"
    from bespokelabs import curator
    from datasets import Dataset

    class Label(curator.LLM):
        def prompt(self, row):
            return messages(row["i"])

        def parse(self, row, response):
            return {"i": row["i"], "content": response if isinstance(response, str) else json.dumps(response)}

    label = Label(model_name=model, backend="openai", generation_params={"response_format": form},
                  backend_params={"base_url": server + "/v1", "max_retries": 5, "max_concurrent_requests": many,
                                  "max_requests_per_minute": 10_000_000, "max_tokens_per_minute": 10_000_000_000})
    answered = label(Dataset.from_dict({"i": list(range(rows))}), working_dir=str(out / "curator"))
    with open(out / "rows.jsonl", "w") as f:
        for r in answered.dataset:
            write(f, r["i"], r["content"])
    return round(answered.cost_info.total_cost * 1e12) if getattr(answered, "cost_info", None) else None


run = {"openai": openai_client, "litellm": litellm_client, "async-batch-llm": async_batch_llm_client, "curator": curator_client}[client]
pico = asyncio.run(run()) if asyncio.iscoroutinefunction(run) else run()
print("\n" + json.dumps({"pico": pico}))
