"""The types that other tests share, and how their values are compared."""

from tests.library.typed_samples import TYPED, Address, Person, same


def test_there_are_thirty_and_what_differs_inside_is_not_the_same() -> None:
    assert len(TYPED) >= 30
    one = Person(name="Ann", home=Address(street="A", number=1))
    other = one.model_copy(update={"home": Address.model_construct(street="A", number=True)})
    assert one == other
    assert not same(one, other)
