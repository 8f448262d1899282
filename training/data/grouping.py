"""Groups of queries that get one system: by what their rows say, or by clusters of what they mean.

Clusters are those of scikit-learn's `KMeans` over vectors of length 1: sentences by `masdsl.meta.embedding`, or words
by its `TfidfVectorizer`. MAS-GPT leaves algorithm, embedder and number of clusters open; these are our choices, and so
is the usual rule of thumb k = sqrt(n / 2) where nobody says how many.

Source: arXiv:2503.03686, section 3: "group similar queries by metadata or by embedding clustering".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from math import isqrt
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from masdsl.batch.rows import DataFault
from masdsl.meta.embedding import Unavailable, embed
from training.data.pools import Query

How: TypeAlias = Literal["meaning", "words"]
Cluster: TypeAlias = Callable[[Sequence[str], int, int], Sequence[int]]
"""Gives each of some texts the number of its cluster: (texts, how many clusters, seed)."""
AT_ONCE: Final = 256
"""Texts that are embedded together."""


class Group(NamedTuple):
    """Queries that get one system, by their numbers, ascending; never empty."""

    name: str
    members: tuple[int, ...]


def by_metadata(queries: Sequence[Query], fields: Sequence[str]) -> tuple[Group, ...]:
    """Return the groups of queries that have the same values in these fields, by name.

    Raises DataFault for a query without one of the fields.
    """
    if not fields:
        raise DataFault("no field is named to group queries by; name some, such as fields = ['source', 'kind']")
    found: dict[str, list[int]] = {}
    for number, query in enumerate(queries):
        lacking = next((field for field in fields if field not in query.metadata), None)
        if lacking is not None:
            has = ", ".join(query.metadata) or "none"
            raise DataFault(f"the query {query.id} has no field `{lacking}` to group by; it has {has}")
        found.setdefault("/".join(f"{field}={query.metadata[field]}" for field in fields), []).append(number)
    return tuple(Group(name, tuple(found[name])) for name in sorted(found))


def alone(queries: Sequence[Query]) -> tuple[Group, ...]:
    """Return a group for each query, named by its id."""
    return tuple(Group(f"id={query.id}", (number,)) for number, query in enumerate(queries))


def by_clusters(queries: Sequence[Query], count: int | None, cluster: Cluster, *, seed: int = 0) -> tuple[Group, ...]:
    """Return groups of queries that are alike; `count` is how many at most, None for sqrt(n / 2).

    The texts are clustered in the order of the queries' ids, so that the order in which they were read does not count;
    groups are numbered by the first of their members in that order. Raises DataFault for a count that is none.
    """
    if not queries:
        raise DataFault("there are no queries to group")
    wanted = max(1, isqrt(len(queries) // 2)) if count is None else count
    if not 1 <= wanted <= len(queries):
        raise DataFault(f"{len(queries)} queries cannot make {wanted} groups; choose from 1 to {len(queries)}")
    order = sorted(range(len(queries)), key=lambda number: queries[number].id)
    labels = cluster([queries[number].text for number in order], wanted, seed)
    found: dict[int, list[int]] = {}
    for number, label in zip(order, labels, strict=True):
        found.setdefault(int(label), []).append(number)
    digits = len(str(len(found)))
    return tuple(
        Group(f"cluster-{place:0{digits}}", tuple(sorted(members))) for place, members in enumerate(found.values(), 1)
    )


def k_means(how: How) -> Cluster:
    """Return clustering by meaning or by words.

    Raises DataFault where scikit-learn is missing, or, when texts are clustered, the model of sentences.
    """
    if find_spec("sklearn") is None:
        raise DataFault(
            "queries are clustered by scikit-learn, which is not installed: pip install 'masdsl[train]'; or group them "
            "by what their rows say: [groups] by = 'metadata'"
        )

    def cluster(texts: Sequence[str], count: int, seed: int) -> Sequence[int]:
        from sklearn.cluster import KMeans

        vectors = _meanings(texts) if how == "meaning" else _words(texts)
        labels: Sequence[int] = KMeans(count, n_init=10, random_state=seed).fit_predict(vectors).tolist()
        return labels

    return cluster


def _meanings(texts: Sequence[str]) -> Any:
    import numpy

    found: list[list[float]] = []
    try:
        for at in range(0, len(texts), AT_ONCE):
            found += embed(texts[at : at + AT_ONCE])
    except Unavailable as fault:
        raise DataFault(f"{fault}; or group queries by their words: [groups] by = 'words'") from None
    return numpy.array(found)


def _words(texts: Sequence[str]) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        return TfidfVectorizer(sublinear_tf=True).fit_transform(texts)
    except ValueError:
        raise DataFault("the queries have no words to be grouped by; group them by meaning or metadata") from None
