"""A process that is restarted may crash when its last COMMIT is done and nobody has heard of it."""

from __future__ import annotations

from small import text, verdicts

PAYMENT = "CREATE TABLE payment (id SERIAL PRIMARY KEY, amount INTEGER NOT NULL CHECK (amount IN (10)));"


def paid(**role: object) -> dict[str, tuple[str, object]]:
    return verdicts(
        text(
            ["INSERT INTO payment (amount) VALUES (10)", "commit"],
            schema=PAYMENT,
            data="",
            bounds={"payment": 2},
            truncate=["payment"],
            processes={"a": role},
            properties={"once": {"never": "SELECT count(*) FROM payment HAVING count(*) > 1"}},
        )
    )


def test_a_process_crashes_after_its_last_commit() -> None:
    # Charge, commit, crash, charge, commit.
    assert paid(crash="anywhere", restart=True) == {"once": ("violated", 5)}


def test_without_a_restart_nothing_is_paid_twice() -> None:
    assert paid(crash="anywhere") == {"once": ("holds", None)}


def test_a_list_of_places_is_no_crash_elsewhere() -> None:
    assert paid(crash=["p2"], restart=True)["once"][0].startswith("holds")
