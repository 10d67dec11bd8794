import requests
from flyteplugins.hitl._app import HITLSubmissionTyped

def submit_value_programmatically(event_instance):
    submission = {
        "request_id": event_instance.request_id,
        "value": 42,
        "data_type": "int",
        "response_path": event_instance._response_path,
    }
    response = requests.post(f"{event_instance.endpoint}/submit/json", json=submission)
    return response.json()
