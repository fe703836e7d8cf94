"""Reading params.yaml, and checking it as a whole."""

from datetime import date
from pathlib import Path

from pydantic import ValidationError

from retrace.errors import UserError
from retrace.params.mistakes import params_error
from retrace.params.sections import Params
from retrace.yaml_files import read_yaml

FILE = Path("params.yaml")


def read_params(file: Path = FILE) -> Params:
    """The parameters of the project.

    Raises:
        UserError: the file can't be read, or a key is unknown, missing, of the wrong type or impossible.
    """
    content = read_yaml(file)
    if not isinstance(content, dict):
        raise UserError(f"{file}: holds no sections; `git restore {file}` brings the committed one back")
    split = content.get("split")
    if unquoted := [key for key, value in split.items() if isinstance(value, date)] if isinstance(split, dict) else []:
        raise UserError(f"{file}: split.{unquoted[0]}: a date needs quotes, or DVC can't read it")
    try:
        params = Params.model_validate(content)
    except ValidationError as error:
        raise params_error(error, content, file) from None
    module = Path(f"src/datasets/{params.data.set}.py")
    if not module.exists():
        raise UserError(f"{file}: data.set: there is no {module}")
    return params
