"""The local `/auth/v1` in this process, with rates that no test reaches."""

import pytest

from tests.integration.local.supabase.auth import MANY, Call, caller, gateway
from tests.stack import Stack


@pytest.fixture
def call(stack: Stack) -> Call:
    return caller(gateway(stack, MANY))
