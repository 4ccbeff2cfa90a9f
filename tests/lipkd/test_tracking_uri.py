from lipkd.tracking_uri import experiment_page, run_page


def test_pages_of_mlflow_open_in_its_mode_for_training() -> None:
    assert experiment_page("http://h:1", "7") == (
        "http://h:1/#/experiments/7/runs?workflowType=machine_learning"
        "&orderByKey=metrics.%60best%2Fwer%60&orderByAsc=true"
    )
    assert run_page("http://h:1", "7", "a/b") == "http://h:1/#/experiments/7/runs/a%2Fb?workflowType=machine_learning"
