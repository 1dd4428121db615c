"""Policy: which proven peers may come in. One decision, one function; deny wins, and none denies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from twoway.credential import printable
from twoway.errors import PeerDenied
from twoway.trust.index import RuleIndex
from twoway.trust.peer import Peer
from twoway.trust.rules import REQUEST_KEYS, Facts, Rule, facts_of


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a peer is let in, the sentence that says why, and the rule that decided (None: no rule did)."""

    allowed: bool
    because: str
    rule: Rule | None = None

    def __bool__(self) -> bool:
        return self.allowed


class NotAllowed(PeerDenied):
    """A proven peer that the policy does not let in."""

    code = "not_allowed"

    def __init__(self, peer: str, decision: Decision) -> None:
        super().__init__(peer, decision)
        self.peer, self.decision = peer, decision

    def __str__(self) -> str:
        return f"{self.peer} proved who it is and is not let in: {self.decision.because}"

    @property
    def remedy(self) -> str:
        if self.decision.rule is not None:
            return f"if it should be let in, change the deny rule {self.decision.rule.where}"
        return "if it should be let in, add an allow rule for it (try it with: twoway policy test)"

    @property
    def evidence(self) -> dict[str, object]:
        rule = self.decision.rule
        return {"peer": self.peer, "because": self.decision.because, "rule": rule.where if rule else None}


@dataclass(frozen=True)
class Policy:
    """Rules, tried together: any deny rule that matches wins, then any allow rule; otherwise the answer is no.

    An empty policy denies everybody. A name that cannot be compared (see `twoway.names.comparison`) fulfils no
    condition of an allow rule and every condition on its key of a deny rule. `decide` costs about the same with
    one rule and with a thousand.
    """

    rules: tuple[Rule, ...] = ()
    source: str = "policy"
    _deny: RuleIndex = field(init=False, repr=False, compare=False, default_factory=RuleIndex)
    _allow: RuleIndex = field(init=False, repr=False, compare=False, default_factory=RuleIndex)
    _open: RuleIndex = field(init=False, repr=False, compare=False, default_factory=RuleIndex)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", tuple(self.rules))
        object.__setattr__(self, "_deny", RuleIndex(rule for rule in self.rules if rule.kind == "deny"))
        allow = [rule for rule in self.rules if rule.kind == "allow"]
        object.__setattr__(self, "_allow", RuleIndex(allow))
        everybody = (rule for rule in allow if rule.about_requests and rule.for_connections().anyone)  # type: ignore[union-attr]
        object.__setattr__(self, "_open", RuleIndex(everybody))

    @classmethod
    def load(cls, path: str | Path) -> Policy:
        """Read a TOML policy file; raises BadRule or a CredentialError of the file, with line and remedy."""
        from twoway.trust.policy_file import load_rules

        return cls(load_rules(Path(path)), str(path))

    @classmethod
    def from_rules(cls, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> Policy:
        """Make a policy of rules as the command line takes them (`key=pattern,key=pattern…`)."""
        rules = [Rule.parse(text, kind="deny", where=f"--deny #{n}") for n, text in enumerate(deny, 1)]
        rules += [Rule.parse(text, kind="allow", where=f"--allow #{n}") for n, text in enumerate(allow, 1)]
        return cls(tuple(rules), "rules")

    @classmethod
    def anyone_proven(cls) -> Policy:
        """Let in whoever the trust proves; said in so many words, because an empty policy says no."""
        return cls((Rule("allow", (), "default", anyone=True),), "default")

    @property
    def admits_anyone_proven(self) -> bool:
        return any(rule.anyone and rule.kind == "allow" for rule in self.rules)

    @property
    def judges_requests(self) -> bool:
        """Whether any rule has a condition on method or path."""
        return self._about("method") or self._about("path")

    @property
    def judges_paths(self) -> bool:
        return self._about("path")

    def _about(self, key: str) -> bool:
        return key in self._deny.kinds or key in self._allow.kinds

    def for_connections(self) -> Policy:
        """What decides before a request is known: whoever may be allowed some request later passes."""
        if not self.judges_requests:
            return self
        rules = (rule.for_connections() for rule in self.rules)
        return Policy(tuple(rule for rule in rules if rule is not None), self.source)

    def decide_request(
        self, peer: Peer | Mapping[str, tuple[str, ...]] | None, method: str, path: str | None
    ) -> Decision:
        """Decide about one request of a peer (or its facts), with the path alone, without its query.

        A deny rule also covers the path with a slash more or less at its end, which many servers take for the
        same. None for the peer is somebody who showed no certificate: an allow rule counts only when it asks
        for nothing but method and path. None for the path is a request about the server as a whole.
        """
        facts: Facts = {} if peer is None else facts_of(peer) if isinstance(peer, Peer) else peer
        facts = {**facts, "method": (method,), "path": () if path is None else (path,)}
        readings = (
            () if path is None else (path, path[:-1] if path.endswith("/") and path != "/" else path + "/")
        )
        rule = self._deny.first_match({**facts, "path": readings})
        if rule is not None:
            return Decision(False, f"denied by {rule}", rule)
        allow = self._allow if peer is not None else self._open
        rule = allow.first_match(facts)
        if rule is not None:
            return Decision(True, f"allowed by {rule}", rule)
        return self._nobody_allows(facts)

    def decide(self, peer: Peer | Mapping[str, tuple[str, ...]]) -> Decision:
        """Decide about a peer (or its facts by key), and say which rule decided.

        Rules about requests need a request: see `decide_request`, and `for_connections` for what comes before.
        """
        facts: Facts = facts_of(peer) if isinstance(peer, Peer) else peer
        rule = self._deny.first_match(facts)
        if rule is not None:
            doubts = "; ".join(rule.doubts(facts)[:3])
            why = f", which may mean this peer: nobody can compare {doubts}" if doubts else ""
            return Decision(False, f"denied by {rule}{why}", rule)
        rule = self._allow.first_match(facts)
        if rule is not None:
            return Decision(True, f"allowed by {rule}", rule)
        return self._nobody_allows(facts)

    def _nobody_allows(self, facts: Facts) -> Decision:
        count = len(self._allow)
        tried = f"no allow rule matches, of {count} tried" if count else "there is no allow rule"
        return Decision(False, f"{tried} ({_told(facts)})")


def _told(facts: Facts) -> str:
    shown = [
        f"{key}={printable(value)}"
        for key in ("cn", "dns", "ip", "uri", "email", *REQUEST_KEYS)
        for value in facts.get(key, ())[:3]
    ]
    return ", ".join(shown) or "it has no names"
