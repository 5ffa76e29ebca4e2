"""The providers' own SDKs: their types take our requests, and they read what the simulator says.

They are no dependency: `make sdks` installs them beside, and runs these tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from simulators import QUESTIONS, QUICK, SimulatorThread, connect

from benchmarks.judge import ChatProtocol, protocol_named
from benchmarks.judge.prompts import repair_request
from benchmarks.judge.request_form import RequestForm
from benchmarks.simulator.dialects.gemini import GEMINI

NEEDS = "needs the provider's own SDK: make sdks"
MESSAGES = [{"role": "system", "content": "You judge."}, {"role": "user", "content": QUESTIONS[0]}]
REPAIRED = MESSAGES + repair_request("Perhaps.")
ROOM = replace(QUICK, cached_share=0.5, written_share=0.25, reasoning_tokens=3)
MODEL = "a-model"
KEY = "k-0123456789abcdef"


def forms_of(protocol: ChatProtocol) -> Iterator[RequestForm]:
    """Each way in which a pair may be asked about, with a system message of its own."""
    form: RequestForm | None = protocol.first_form(logprobs=True)
    while form:
        yield from (replace(form, classes=classes, pairs=pairs) for classes in (2, 3) for pairs in (1, 2))
        form = form.next_format()


def requests_over(name: str) -> Iterator[dict[str, Any]]:
    protocol = protocol_named(name)
    for form in forms_of(protocol):
        for messages in (MESSAGES, REPAIRED):
            yield json.loads(protocol.body(messages, MODEL, form))


def without_system(name: str) -> dict[str, Any]:
    protocol = protocol_named(name)
    form = replace(protocol.first_form(logprobs=True), system_role=False)
    body: dict[str, Any] = json.loads(protocol.body(MESSAGES, MODEL, form))
    return body


def plain(value: Any) -> Any:
    """With the iterables that a validated request holds as lists, which validates them as well."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [plain(member) for member in value]
    return value


def validated(request_type: Any, body: dict[str, Any]) -> dict[str, Any]:
    """What a type of the SDK takes of a request: all of it, where the request is one of its own."""
    pydantic = pytest.importorskip("pydantic", reason=NEEDS)
    taken: dict[str, Any] = plain(pydantic.TypeAdapter(request_type).validate_python(body))
    return taken


def post_to(judge: SimulatorThread, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
    connection = connect(judge)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, response.read()


@pytest.fixture(scope="module")
def anthropic() -> Any:
    return pytest.importorskip("anthropic", reason=NEEDS)


def test_anthropics_types_take_our_requests(anthropic: Any) -> None:
    request_type = anthropic.types.message_create_params.MessageCreateParamsNonStreaming
    for body in (*requests_over("anthropic"), without_system("anthropic")):
        assert validated(request_type, body) == body


def test_anthropics_sdk_reads_what_the_simulator_says(anthropic: Any) -> None:
    protocol = protocol_named("anthropic")
    with SimulatorThread(ROOM) as judge:
        root = judge.base_url.removesuffix("/v1")
        with anthropic.Anthropic(
            base_url=root, api_key=KEY, max_retries=0, _strict_response_validation=True
        ) as client:
            for body in requests_over("anthropic"):
                raw = client.messages.with_raw_response.create(**body)
                message, ours = raw.parse(), protocol.read(raw.read())
                told = message.usage
                last = message.content[-1]
                assert ours.text == (last.text if last.type == "text" else json.dumps(last.input))
                assert ours.usage.as_tuple() == (
                    told.input_tokens + told.cache_creation_input_tokens + told.cache_read_input_tokens,
                    told.output_tokens,
                    told.cache_read_input_tokens,
                    told.output_tokens_details.thinking_tokens,
                    told.cache_creation_input_tokens,
                )
            assert [model.id for model in client.models.list()] == ["simulated-judge"]


@pytest.mark.parametrize(
    ("changes", "error", "kind"),
    [
        ({"rate_limited": 1.0}, "RateLimitError", "rate_limit_error"),
        ({"server_error": 1.0}, "InternalServerError", "api_error"),
        ({"gone": "unknown"}, "NotFoundError", "not_found_error"),
        ({"quota_exhausted": True}, "PaymentRequiredError", "billing_error"),
        ({"api_key": "another"}, "AuthenticationError", "authentication_error"),
        ({"refuses": ("json_schema",)}, "BadRequestError", "invalid_request_error"),
    ],
)
def test_anthropics_sdk_knows_the_simulators_errors(
    anthropic: Any, changes: dict[str, Any], error: str, kind: str
) -> None:
    body = next(requests_over("anthropic"))
    with SimulatorThread(replace(QUICK, **changes)) as judge:
        root = judge.base_url.removesuffix("/v1")
        client = anthropic.Anthropic(base_url=root, api_key=KEY, max_retries=0)
        with pytest.raises(getattr(anthropic, error)) as caught:
            client.messages.create(**body)
    assert caught.value.body["error"]["type"] in (kind, "overloaded_error")


@pytest.fixture(scope="module")
def openai() -> Any:
    return pytest.importorskip("openai", reason=NEEDS)


def openai_client(openai: Any, judge: SimulatorThread) -> Any:
    settings = {"base_url": judge.base_url, "api_key": KEY, "max_retries": 0}
    return openai.OpenAI(**settings, _strict_response_validation=True)


def test_openais_types_take_our_requests(openai: Any) -> None:
    from openai.types import chat, decision_create_params, responses

    types = {
        "chat-completions": chat.completion_create_params.CompletionCreateParamsNonStreaming,
        "responses": responses.response_create_params.ResponseCreateParamsNonStreaming,
        "decisions": decision_create_params.DecisionCreateParams,
    }
    for name, request_type in types.items():
        for body in (*requests_over(name), without_system(name)):
            assert validated(request_type, body) == body


def test_openais_sdk_reads_the_simulators_responses(openai: Any) -> None:
    protocol = protocol_named("responses")
    with SimulatorThread(ROOM) as judge, openai_client(openai, judge) as client:
        for body in requests_over("responses"):
            raw = client.responses.with_raw_response.create(**body)
            response, ours = raw.parse(), protocol.read(raw.content)
            assert (ours.text, ours.finish_reason) == (response.output_text, response.status)
            assert ours.usage.as_tuple() == (
                response.usage.input_tokens,
                response.usage.output_tokens,
                response.usage.input_tokens_details.cached_tokens,
                response.usage.output_tokens_details.reasoning_tokens,
                response.usage.input_tokens_details.cache_write_tokens,
            )
            (part,) = response.output[-1].content
            assert ours.logprobs == tuple((token.token, token.logprob) for token in part.logprobs)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fault", ["cut_short", "content_filter"])
def test_openais_sdk_reads_responses_that_are_cut_or_withheld(openai: Any, seed: int, fault: str) -> None:
    protocol = protocol_named("responses")
    body = next(requests_over("responses"))
    changes: dict[str, Any] = {"seed": seed, fault: 1.0}
    config = replace(ROOM, **changes)
    with SimulatorThread(config) as judge, openai_client(openai, judge) as client:
        try:
            raw = client.responses.with_raw_response.create(**body)
        except openai.BadRequestError as error:
            told = error.code
        else:
            response, ours = raw.parse(), protocol.read(raw.content)
            details, said = response.incomplete_details, response.output[-1].content[0]
            told = details.reason if details else said.type
            assert (ours.finish_reason == "length") == (told == "max_output_tokens")
            assert bool(ours.refusal) == (told == "refusal")
    assert (
        told in {"cut_short": ["max_output_tokens"], "content_filter": ["content_filter", "refusal"]}[fault]
    )


def test_openais_client_of_azure_asks_at_the_same_place(openai: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = protocol_named("azure")
    monkeypatch.setenv("OPENAI_API_VERSION", "2024-06-01")
    with SimulatorThread(replace(ROOM, api_key=KEY)) as judge:
        root = judge.base_url.removesuffix("/v1")
        client = openai.AzureOpenAI(azure_endpoint=root, api_key=KEY, max_retries=0)
        raw = client.chat.completions.with_raw_response.create(**next(requests_over("azure")))
        assert str(raw.http_request.url) == protocol.url(root, MODEL)
        assert raw.http_request.headers["api-key"] == protocol.headers(KEY)["api-key"]
        assert protocol.read(raw.content).text == raw.parse().choices[0].message.content


@pytest.mark.parametrize("share_withheld", [0.0, 1.0])
def test_openais_sdk_reads_the_simulators_decisions(openai: Any, share_withheld: float) -> None:
    protocol = protocol_named("decisions")
    config = replace(ROOM, seed=1, content_filter=share_withheld)
    with SimulatorThread(config) as judge, openai_client(openai, judge) as client:
        for body in requests_over("decisions"):
            raw = client.decisions.with_raw_response.create(**body)
            ours: Any = protocol.read(raw.content)
            (answer,) = raw.parse().answers
            assert bool(ours.refusal) == (answer.type == "refusal") == bool(share_withheld)
            if answer.type == "predicate":
                assert ours.decision.probability == answer.probability
            elif answer.type == "choice":
                assert ours.decision.relation == answer.choice
            assert ours.usage.prompt == raw.parse().usage.input_tokens


@pytest.mark.parametrize("classes", [2, 3])
def test_a_client_of_system_one_asks_and_reads_the_same(classes: int) -> None:
    systemone = pytest.importorskip("systemone", reason=NEEDS)
    protocol = protocol_named("systemone")
    form = replace(protocol.first_form(logprobs=False), classes=classes)
    body = json.loads(protocol.body(MESSAGES, MODEL, form))
    ((name, question),) = body["questions"].items()
    kind = {2: systemone.Noul, 3: systemone.Choice}[classes]
    asked = kind(**{field: value for field, value in question.items() if field != "type"})
    assert asked.to_dict() == question
    with SimulatorThread(ROOM) as judge:
        client = systemone.Client(judge.base_url.removesuffix("/v1"), api_key=KEY)
        response = client.system_one(body["state"], {name: asked}, MODEL)
    ours: Any = protocol.read(json.dumps(response.raw).encode())
    theirs = {2: response.nouls, 3: response.choices}[classes][name]
    if classes == 2:
        assert ours.decision.probability == theirs.noul
    else:
        assert (ours.decision.relation, ours.decision.probability) == (
            theirs.choice,
            theirs.probabilities["contradiction"],
        )
    assert (ours.usage.prompt, ours.usage.completion) == (
        response.usage.input_tokens,
        response.usage.output_tokens,
    )


@pytest.fixture(scope="module")
def genai() -> Any:
    return pytest.importorskip("google.genai", reason=NEEDS)


def genai_client(genai: Any, judge: SimulatorThread) -> Any:
    root = judge.base_url.removesuffix("/v1")
    return genai.Client(api_key=KEY, http_options={"base_url": root})


def as_sent(genai: Any, body: dict[str, Any]) -> dict[str, Any]:
    """What the SDK would send, by its own types, for the content and the settings of one of our requests."""
    types = genai.types
    settings = types.GenerationConfig(**body["generationConfig"])
    config = types.GenerateContentConfig(
        **{name: getattr(settings, name) for name in settings.model_fields_set},
        system_instruction=types.Content(**body["systemInstruction"])
        if "systemInstruction" in body
        else None,
    )
    return {
        "model": MODEL,
        "contents": [types.Content(**content) for content in body["contents"]],
        "config": config,
    }


def _respelt(value: Any) -> Any:
    """Either spelling is taken; the others are as the API's own page has them."""
    if not isinstance(value, dict):
        return value
    return {
        {"property_ordering": "propertyOrdering"}.get(name, name): _respelt(member)
        for name, member in value.items()
    }


def test_googles_sdk_would_send_our_requests(genai: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    read = GEMINI.read

    def noting(body: bytes, *rest: Any) -> Any:
        sent.append(json.loads(body))
        return read(body, *rest)

    monkeypatch.setattr(GEMINI, "read", noting)
    with SimulatorThread(ROOM) as judge:
        client = genai_client(genai, judge)
        for body in requests_over("gemini"):
            client.models.generate_content(**as_sent(genai, body))
            theirs = sent.pop()
            assert theirs.pop("systemInstruction")["parts"] == body.pop("systemInstruction")["parts"]
            assert _respelt(theirs) == body


def test_googles_sdk_reads_what_the_simulator_says(genai: Any) -> None:
    protocol = protocol_named("gemini")
    with SimulatorThread(ROOM) as judge:
        client = genai_client(genai, judge)
        for body in requests_over("gemini"):
            response = client.models.generate_content(**as_sent(genai, body))
            _, raw = post_to(judge, "/v1beta/models/a-model:generateContent", body)
            ours, told = protocol.read(raw), response.usage_metadata
            assert ours.text == response.text
            assert ours.usage.as_tuple() == (
                told.prompt_token_count,
                told.candidates_token_count + told.thoughts_token_count,
                told.cached_content_token_count,
                told.thoughts_token_count,
                0,
            )
        assert [model.name for model in client.models.list()] == ["models/simulated-judge"]


@pytest.mark.parametrize("seed", range(4))
def test_googles_sdk_reads_what_filters_withhold(genai: Any, seed: int) -> None:
    body = next(requests_over("gemini"))
    with SimulatorThread(replace(ROOM, seed=seed, content_filter=1.0)) as judge:
        client = genai_client(genai, judge)
        response = client.models.generate_content(**as_sent(genai, body))
        _, raw = post_to(judge, "/v1beta/models/a-model:generateContent", body)
    ours = protocol_named("gemini").read(raw)
    if response.candidates:
        assert ours.finish_reason == response.candidates[0].finish_reason.value
    else:
        assert ours.refusal == response.prompt_feedback.block_reason.value


@pytest.mark.parametrize(
    ("changes", "code", "status"),
    [
        ({"rate_limited": 1.0}, 429, "RESOURCE_EXHAUSTED"),
        ({"gone": "unknown"}, 404, "NOT_FOUND"),
        ({"api_key": "another"}, 400, "INVALID_ARGUMENT"),
    ],
)
def test_googles_sdk_knows_the_simulators_errors(
    genai: Any, changes: dict[str, Any], code: int, status: str
) -> None:
    body = next(requests_over("gemini"))
    with SimulatorThread(replace(QUICK, **changes)) as judge:
        client = genai_client(genai, judge)
        with pytest.raises(genai.errors.APIError) as caught:
            client.models.generate_content(**as_sent(genai, body))
    assert (caught.value.code, caught.value.status) == (code, status)
