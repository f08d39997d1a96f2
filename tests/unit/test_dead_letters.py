"""Dead letters: repairing a message, and what the command says of a letter."""

import msgspec
import pytest

from connectors.dead_letters import with_changes
from connectors.errors import LiandongError
from streams.commands.dead_letters import _change

MESSAGE = b'{"event_id":"e1","amount":"1,000.00","counterparty":{"name":"A"}}'


def test_fields_are_set_at_any_depth() -> None:
    mended = msgspec.json.decode(with_changes(MESSAGE, {"amount": "1000.00", "counterparty.country": "CN"}))
    assert mended == {"event_id": "e1", "amount": "1000.00", "counterparty": {"name": "A", "country": "CN"}}
    assert msgspec.json.decode(with_changes(MESSAGE, {"controls.identity_verified": True}))["controls"] == {
        "identity_verified": True
    }


def test_what_cannot_be_repaired_says_why() -> None:
    with pytest.raises(LiandongError, match="no JSON"):
        with_changes(b"\xff\xfe", {"amount": "1"})
    with pytest.raises(LiandongError, match=r"amount\.value leads nowhere"):
        with_changes(MESSAGE, {"amount.value": "1"})
    with pytest.raises(LiandongError, match="leads nowhere"):
        with_changes(b"[1]", {"amount": "1"})


def test_changes_are_json_or_text() -> None:
    assert _change("currency=CNY") == ("currency", "CNY")
    assert _change("cross_border=true") == ("cross_border", True)
    assert _change('amount="5.00"') == ("amount", "5.00")
    assert _change("narrative=a=b") == ("narrative", "a=b")
    with pytest.raises(LiandongError, match="field=value"):
        _change("amount")
