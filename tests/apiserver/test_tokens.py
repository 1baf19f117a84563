"""Tokens of ServiceAccounts: what they are good for, for whom, and for how long."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from labctl.apiserver.token_keys import unb64
from tests.apiserver.harness import DEFAULT, Client, meta, pod

ACCOUNT = f"{DEFAULT}/serviceaccounts/default"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
ISSUER = "https://kubernetes.default.svc.cluster.local"
EXTRA = "authentication.kubernetes.io"


async def request(api: Client, **spec: Any) -> Any:
    return await api.post(f"{ACCOUNT}/token", {"spec": spec})


async def token(api: Client, **spec: Any) -> str:
    return str((await request(api, **spec)).json["status"]["token"])


async def review(api: Client, text: str, **spec: Any) -> Any:
    return (await api.post(REVIEWS, {"spec": {"token": text, **spec}})).json["status"]


async def test_a_token_is_for_the_api_server_unless_it_says_otherwise(local: Client) -> None:
    made = (await request(local)).json
    assert made["spec"] == {"audiences": [ISSUER], "expirationSeconds": 3600, "boundObjectRef": None}
    assert made["metadata"]["name"] == "default"
    found = await review(local, made["status"]["token"])
    assert (found["authenticated"], found["audiences"]) == (True, [ISSUER])
    assert found["user"]["username"] == "system:serviceaccount:default:default"
    (credential,) = found["user"]["extra"][f"{EXTRA}/credential-id"]
    assert credential.startswith("JTI=")


async def test_a_token_for_others_opens_nothing_here(local: Client) -> None:
    text = await token(local, audiences=["vault", "shop"])
    assert await review(local, text) == {"user": {}, "error": "invalid bearer token"}
    assert (await local.as_user(text).get(f"{DEFAULT}/pods")).code == 401
    assert (await review(local, text, audiences=["shop", "bank"]))["audiences"] == ["shop"]


async def test_the_administrators_token_is_for_the_api_server_alone(local: Client) -> None:
    assert (await review(local, "admin"))["user"]["username"] == "kubernetes-admin"
    assert "authenticated" not in await review(local, "admin", audiences=["vault"])


async def test_a_bound_token_ends_with_its_pod(local: Client) -> None:
    node = (await local.post("/api/v1/nodes", meta("node-1"))).json
    made = (await local.post(f"{DEFAULT}/pods", pod("p", nodeName="node-1"))).json
    text = await token(local, boundObjectRef={"apiVersion": "v1", "kind": "Pod", "name": "p"})
    extra = (await review(local, text))["user"]["extra"]
    uids = [made["metadata"]["uid"], node["metadata"]["uid"]]
    assert [extra[f"{EXTRA}/{name}"] for name in ("pod-name", "node-name")] == [["p"], ["node-1"]]
    assert [extra[f"{EXTRA}/{name}"] for name in ("pod-uid", "node-uid")] == [[uid] for uid in uids]
    await local.delete(f"{DEFAULT}/pods/p", gracePeriodSeconds=0)
    assert "authenticated" not in await review(local, text)


@pytest.mark.parametrize(
    ("spec", "code", "message"),
    [
        (
            {"expirationSeconds": 10},
            422,
            'TokenRequest.authentication.k8s.io "default" is invalid: spec.expirationSeconds: Invalid value: 10: '
            "may not specify a duration less than 10 minutes",
        ),
        ({"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "nope"}}, 404, 'pods "nope" not found'),
        (
            {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "other"}},
            409,
            'Operation cannot be fulfilled on pods "p": the UID in the bound object reference (other) does not match '
            "the UID in record. The object might have been deleted and then recreated",
        ),
        (
            {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "q"}},
            400,
            'cannot bind token for serviceaccount "default" to pod running with different serviceaccount name.',
        ),
        (
            {"boundObjectRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}},
            400,
            "cannot bind token to object of type apps/v1, Kind=Deployment",
        ),
    ],
)
async def test_what_cannot_be_issued(local: Client, spec: Any, code: int, message: str) -> None:
    await local.post(f"{DEFAULT}/serviceaccounts", meta("other"))
    await local.post(f"{DEFAULT}/pods", pod("p"))
    await local.post(f"{DEFAULT}/pods", pod("q", serviceAccountName="other"))
    answer = await request(local, **spec)
    assert (answer.code, answer.message) == (code, message)


async def test_others_can_check_a_token(local: Client) -> None:
    account = local.as_user(await token(local))
    found = (await account.get("/.well-known/openid-configuration")).json
    assert (found["issuer"], found["jwks_uri"]) == (ISSUER, "https://192.168.123.2:6443/openid/v1/jwks")
    (key,) = (await account.get("/openid/v1/jwks")).json["keys"]
    numbers = rsa.RSAPublicNumbers(*(int.from_bytes(unb64(key[name])) for name in ("e", "n")))
    header, claims, signature = (await token(local, audiences=["shop"])).split(".")
    assert json.loads(unb64(header)) == {"alg": "RS256", "kid": key["kid"]}
    signed = f"{header}.{claims}".encode()
    numbers.public_key().verify(unb64(signature), signed, padding.PKCS1v15(), hashes.SHA256())


async def test_who_is_nobody_is_not_told_the_keys(local: Client) -> None:
    assert (await local.as_user("").get("/openid/v1/jwks")).code in (401, 403)
    assert (await local.as_user("a.b.c").get(f"{DEFAULT}/pods")).code == 401
