"""Which word was read as which: of all alignments with the fewest word edits the one with the fewest letter edits.

`by c seven`, read as `by nivne`, takes two word edits whichever way it is aligned. To delete `c` and
replace `seven` by `nivne` costs 5 letters, to replace `c` by `nivne` and delete `seven` costs 10.
"""

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

WORD = 1 << 20  # the cost of a word edit in letter edits: more than any sentence has
Pair = tuple[str, str]


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Pair]:
    """Pairs of words; the side that has no word is empty. Where several are as good, words pair up from the left."""
    costs = _costs(reference, hypothesis)
    pairs, i, j = [], 0, 0
    while i < len(reference) or j < len(hypothesis):
        left, right = reference[i : i + 1], hypothesis[j : j + 1]
        if left and right and costs[i][j] == costs[i + 1][j + 1] + _replacing(left[0], right[0]):
            pairs.append((left[0], right[0]))
            i, j = i + 1, j + 1
        elif left and costs[i][j] == costs[i + 1][j] + WORD + len(left[0]):
            pairs.append((left[0], ""))
            i += 1
        else:
            pairs.append(("", right[0]))
            j += 1
    return pairs


def _costs(reference: Sequence[str], hypothesis: Sequence[str]) -> list[list[int]]:
    """(words + 1, words + 1): the least cost from each place in both sentences to their ends."""
    inserted = [WORD + len(word) for word in hypothesis]
    row = [0]
    for cost in reversed(inserted):
        row.append(row[-1] + cost)
    row.reverse()
    rows = [row]
    for left in reversed(reference):
        below, deleted = row, WORD + len(left)
        least = below[-1] + deleted
        row = [least]
        for j in range(len(hypothesis) - 1, -1, -1):
            least = min(below[j + 1] + _replacing(left, hypothesis[j]), below[j] + deleted, least + inserted[j])
            row.append(least)
        row.reverse()
        rows.append(row)
    rows.reverse()
    return rows


def _replacing(left: str, right: str) -> int:
    return 0 if left == right else WORD + Levenshtein.distance(left, right)
