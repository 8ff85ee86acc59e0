"""Runs moto's server, with the one thing added that it lacks: KMS signs a digest as it is (MessageType DIGEST)."""

import threading

from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from moto.kms import utils
from moto.kms.responses import KmsResponse
from moto.server import main

asked = threading.local()


def sign(response, inner=KmsResponse.sign):
    asked.digest = response._get_param("MessageType") == "DIGEST"
    try:
        return inner(response)
    finally:
        asked.digest = False


def prehashed(hash_algorithm):
    return Prehashed(hash_algorithm) if getattr(asked, "digest", False) else hash_algorithm


def ecdsa_hash(key, name, inner=utils.ECDSAPrivateKey._ECDSAPrivateKey__hash_algorithm):
    return prehashed(inner(key, name))


def rsa_padding_and_hash(key, name, inner=utils.RSAPrivateKey._RSAPrivateKey__padding_and_hash_algorithm):
    padding, hash_algorithm = inner(key, name)
    return padding, prehashed(hash_algorithm)


KmsResponse.sign = sign
utils.ECDSAPrivateKey._ECDSAPrivateKey__hash_algorithm = ecdsa_hash
utils.RSAPrivateKey._RSAPrivateKey__padding_and_hash_algorithm = rsa_padding_and_hash
main()
