"""Review of sweeps in the browser: leaderboard, learning curves, replay of validation clips.

Reads MLflow and the clip store, never the trial folders. `launch.run_dashboard` starts it.
"""
