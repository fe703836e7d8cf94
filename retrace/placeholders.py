"""The question and the decision in params.yaml until the user has written them."""

# In a new project, which has no table yet.
QUESTION = "What is asked?"
DECISION = "What will be done otherwise for knowing it?"
# Once adopt has brought a table in.
DECISION_AFTER_ADOPT = "Not written down yet: what will be done otherwise for knowing it?"


def question_about(target: str) -> str:
    """The question that adopt writes for a target."""
    return f"What is {target}, by the other columns?"
