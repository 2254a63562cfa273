"""A virtual authenticator: soft-webauthn, which verifies no user, with that flag added, and in the JSON of browsers."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor
from fido2.utils import sha256
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from soft_webauthn import SoftWebauthnDevice
from weft.user.v1 import passkey_pb2 as pb
from weft.user.v1.auth_service_pb2 import TokenPair

from tests.harness import ISSUER
from tests.user.world import Person, World

USER_VERIFIED = 0x04
_FLAGS = 32
"""Where the flags are in authenticator data: after the hash of the RP ID."""
Json = dict[str, Any]


class Device:
    """An authenticator with a browser, which holds one passkey."""

    def __init__(self, *, origin: str = ISSUER, verifies: bool = True) -> None:
        self.soft = SoftWebauthnDevice()
        self.origin = origin
        self.flags = USER_VERIFIED if verifies else 0

    def create(self, public_key: Struct) -> Struct:
        """What `navigator.credentials.create` returns, as JSON."""
        options = json_format.MessageToDict(public_key)
        options["pubKeyCredParams"] = [{**each, "alg": int(each["alg"])} for each in options["pubKeyCredParams"]]
        options["challenge"] = _bytes(options["challenge"])
        options["user"]["id"] = _bytes(options["user"]["id"])
        made = self.soft.create({"publicKey": options}, self.origin)
        attestation = cbor.decode(made["response"]["attestationObject"])
        made["response"]["attestationObject"] = cbor.encode({**attestation, "authData": self._flagged(attestation)})
        return _struct({**made, "id": _text(made["rawId"]), "clientExtensionResults": {}})

    def get(self, public_key: Struct) -> Struct:
        """What `navigator.credentials.get` returns, as JSON."""
        options = json_format.MessageToDict(public_key)
        options["challenge"] = _bytes(options["challenge"])
        made = self.soft.get({"publicKey": options}, self.origin)
        response = made["response"]
        data = self._flagged({"authData": response["authenticatorData"]})
        signed = data + sha256(response["clientDataJSON"])
        response |= {"authenticatorData": data, "signature": self.soft.private_key.sign(signed, ec.ECDSA(SHA256()))}
        return _struct({**made, "id": _text(made["rawId"]), "clientExtensionResults": {}})

    def _flagged(self, attestation: Json) -> bytes:
        data = bytearray(attestation["authData"])
        data[_FLAGS] |= self.flags
        return bytes(data)


async def begin(world: World, person: Person, **proof: str) -> Struct:
    """Options for a new passkey."""
    request = pb.BeginPasskeyRegistrationRequest(**proof)
    return (await world.auth.BeginPasskeyRegistration(request, metadata=person.metadata + world.at())).public_key


async def finish(world: World, person: Person, credential: Struct, name: str = "") -> pb.Passkey:
    """Add what the browser has made."""
    request = pb.FinishPasskeyRegistrationRequest(credential=credential, display_name=name)
    return await world.auth.FinishPasskeyRegistration(request, metadata=person.metadata)


async def register(world: World, person: Person, name: str = "") -> tuple[Device, pb.Passkey]:
    """A passkey of somebody who has just signed in."""
    device = Device()
    return device, await finish(world, person, device.create(await begin(world, person)), name)


async def challenged(world: World) -> Struct:
    """Options for a sign-in."""
    return (await world.auth.BeginPasskeySignIn(pb.BeginPasskeySignInRequest())).public_key


async def present(world: World, credential: Struct, address: str = "") -> TokenPair:
    """Sign in with what the browser returned."""
    request = pb.FinishPasskeySignInRequest(credential=credential)
    return await world.auth.FinishPasskeySignIn(request, metadata=world.at(address))


async def sign_in(world: World, device: Device) -> TokenPair:
    """Sign in with a passkey alone."""
    return await present(world, device.get(await challenged(world)))


def changed(credential: Struct, **response: str) -> Struct:
    """A credential with other members in its response."""
    copy = json_format.MessageToDict(credential)
    copy["response"] |= response
    return json_format.ParseDict(copy, Struct())


def _struct(credential: Json) -> Struct:
    return json_format.ParseDict(json.loads(json.dumps(credential, default=_text)), Struct())


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
