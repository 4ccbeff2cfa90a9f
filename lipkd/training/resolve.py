"""Fill in what a configuration leaves to the files that it names: digests of clips and weights, letters of transcripts.

A configuration from a YAML file says where the clips are; what makes two trials the same is what they hold. So this is
done once, where a trial is planned. What a trial's folder, a sweep's record or a checkpoint holds is resolved already,
and is read without touching any other file.
"""

from lipkd.config.sections import DataConfig, TrainingConfig
from lipkd.config.trial_config import TrialConfig, parse_config
from lipkd.data.splits import training_letters
from lipkd.data.store import store_digest
from lipkd.errors import LipkdError
from lipkd.text import AUTO


def resolve(config: TrialConfig, where: str = "configuration") -> TrialConfig:
    """The configuration with `data.digest`, the letters of an alphabet `auto`, and `training.init_digest`.

    What it has already stays. A store that is missing is no error here: what opens it says so. Raises LipkdError when
    `training.init_from` holds no weights, or when a held-out clip has letters that no training clip has.
    """
    try:
        data, training = _looked_up(config)
    except LipkdError as error:
        raise LipkdError(f"{where}: {error}") from error
    if (data, training) == (config.data, config.training):
        return config
    content = config.to_json() | {"data": data.model_dump(mode="json"), "training": training.model_dump(mode="json")}
    return parse_config(content, where)  # anew: the letters decide which sentences can be said


def _looked_up(config: TrialConfig) -> tuple[DataConfig, TrainingConfig]:
    data, training = config.data, config.training
    if data.digest is None:
        data = data.model_copy(update={"digest": store_digest(data.store)})
    if data.alphabet == AUTO and data.digest is not None:
        data = data.model_copy(update={"alphabet": training_letters(data)})
    if training.init_from is not None and training.init_digest is None:
        from lipkd.training.init_from import weights_digest  # torch, for those alone who need it

        training = training.model_copy(update={"init_digest": weights_digest(training.init_from)})
    return data, training
