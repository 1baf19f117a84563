import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.api import quantities


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1000m", "1"),
        ("100m", "100m"),
        ("1.5Gi", "1536Mi"),
        ("1.5", "1500m"),
        ("0.5", "500m"),
        ("1024Ki", "1Mi"),
        ("0.0", "0"),
        ("1e3", "1e3"),
        ("1000e3", "1e6"),
        ("0.1n", "1n"),
        ("1.1Ki", "1126400m"),
        ("0.5Ki", "512"),
        ("1000000", "1M"),
        ("-1.5", "-1500m"),
        ("100Ei", "9223372036854775807"),
        ("1.500", "1.500"),  # Kubernetes keeps the text when a cheap test takes it for canonical
        ("k", "0"),
    ],
)
def test_canonical(text: str, canonical: str) -> None:
    assert quantities.canonical(text) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", quantities.FORMAT_WRONG),
        ("abc", quantities.FORMAT_WRONG),
        ("1..2", quantities.FORMAT_WRONG),
        ("1e3e", quantities.FORMAT_WRONG),
        (" 1", quantities.FORMAT_WRONG),
        ("1kk", quantities.SUFFIX_WRONG),
        ("1e", quantities.SUFFIX_WRONG),
        ("1e999999999", quantities.NUMERIC_WRONG),
        ("9" * 10_000, quantities.FORMAT_WRONG),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(quantities.QuantityError) as error:
        quantities.parse(text)
    assert str(error.value) == message


def test_values_round_up() -> None:
    assert quantities.parse("100m").value() == 1
    assert quantities.parse("100m").milli_value() == 100
    assert quantities.parse("64Mi").value() == 67108864
    assert quantities.parse("1u").milli_value() == 1


@given(
    st.from_regex(r"\A[+-]?[0-9]{1,12}(\.[0-9]{0,9})?(n|u|m|k|M|G|T|Ki|Mi|Gi|e[0-9]|E-[0-9])?\Z"),
)
def test_canonical_form_keeps_the_amount(text: str) -> None:
    quantity = quantities.parse(text)
    again = quantities.parse(str(quantity))
    assert again.amount == quantity.amount
    assert str(again) == str(quantity)


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        quantities.parse(text)
    except quantities.QuantityError as error:
        assert str(error) in (quantities.FORMAT_WRONG, quantities.NUMERIC_WRONG, quantities.SUFFIX_WRONG)
