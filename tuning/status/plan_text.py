"""What a sweep will do, in a few lines, before it does it."""

from tuning.gpu.shares import Shares
from tuning.plan.planner import Plan
from tuning.plan.space import Choice
from tuning.sweep_folder import SweepRecord


def plan_text(plan: Plan, record: SweepRecord, shares: Shares) -> str:
    """How many trials and epochs, over what space, with which scheduler, and what each trial gets."""
    sweep, epochs, count = plan.sweep, plan.epochs, plan.count
    each = f"{epochs[0]}" if epochs[0] == epochs[-1] else f"{epochs[0]} to {epochs[-1]}"
    whole = sum(epochs) if len(epochs) == count else count * epochs[-1]
    most = "" if sweep.stopping.name in ("none", "pbt") else "at most "
    sizes = [f"{k} ({len(d.values)})" if isinstance(d, Choice) else k for k, d in sweep.space.items()]
    if sweep.seeds:
        sizes.append(f"seed ({len(sweep.seeds)})")
    lines = [
        f"sweep {sweep.name}: {count} trials × {most}{each} epochs = {most}{whole} epochs",
        f"  {sweep.sampler} over {', '.join(sizes) or 'nothing'}; scheduler {sweep.stopping.name}; {shares.text()}",
    ]
    if sweep.stopping.name == "pbt":
        from tuning.pbt.population import populations_text  # torch

        lines.append(populations_text(plan))
    if over := len(record.ended()):
        lines.append(f"  {over} trials have ended already")
    return "\n".join(lines)
