"""What the dashboard's processes agree on: environment variables and the limit of an upload."""

TRACKING_VARIABLE = "LIPKD_TRACKING_URI"  # where the runs are
MLRUNS_VARIABLE = "LIPKD_MLRUNS"  # the folder whose deployed models can be tried
UI_VARIABLE = "LIPKD_UI"  # the address of MLflow's own UI, where a database is shown
MOST_MB = 200  # of an upload
