"""Does Google's own SDK take the stand-in of Vertex AI for the real service? Prints what it saw, as JSON."""

import json
import os
import sys

from google import genai
from google.genai.errors import ClientError
from google.genai.types import GenerateContentConfig
from google.oauth2.credentials import Credentials


def client(token: str) -> genai.Client:
    options = {"base_url": os.environ["URL"], "api_version": "v1"}
    return genai.Client(
        vertexai=True, project="p", location="us-central1", credentials=Credentials(token), http_options=options
    )


def refused(token: str, text: str) -> list[object]:
    with_token = client(token)
    try:
        with_token.models.generate_content(model="gemini-3-flash", contents=text)
    except ClientError as error:
        return [error.code, error.status]
    return []


own = client(os.environ["TOKEN"])
brief = GenerateContentConfig(system_instruction="Be brief.")
cut = GenerateContentConfig(max_output_tokens=16)
whole = own.models.generate_content(model="gemini-3-flash", contents="COUNT 5", config=brief)
stream = [*own.models.generate_content_stream(model="gemini-3-flash", contents="COUNT 5")]
short = own.models.generate_content(model="gemini-3-flash", contents="COUNT 50", config=cut)
found = {
    "text": whole.text,
    "tokens": whole.usage_metadata.candidates_token_count,
    "reason": whole.candidates[0].finish_reason.value,
    "pieces": [each.text for each in stream if each.text],
    "stream's tokens": stream[-1].usage_metadata.candidates_token_count,
    "cut": short.candidates[0].finish_reason.value,
    "throttled": refused(os.environ["TOKEN"], "FAIL 429"),
    "wrong token": refused("another", "COUNT 5")[:1],
}
json.dump(found, sys.stdout)
