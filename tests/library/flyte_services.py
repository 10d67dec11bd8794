"""The Connect services of the stand-in for Flyte's control plane: what Flyte's command and entry point call."""

# mypy: disable-error-code="import-untyped, attr-defined, misc"
# flyteidl2's messages and services are made at run time, and have no types.

from __future__ import annotations

import secrets
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from flyteidl2.actions import actions_service_connect, actions_service_pb2
from flyteidl2.auth import identity_connect, identity_pb2
from flyteidl2.cluster import payload_pb2, service_connect
from flyteidl2.common import identifier_pb2, run_pb2
from flyteidl2.dataproxy import dataproxy_service_connect, dataproxy_service_pb2
from flyteidl2.project import project_service_connect, project_service_pb2
from flyteidl2.task import task_definition_pb2, task_service_connect, task_service_pb2
from flyteidl2.workflow import run_definition_pb2, run_service_connect, run_service_pb2, state_service_pb2

from tests.library.flyte_backend import ENDED, Action, Backend


def _metadata(action: Action) -> Any:
    made = run_definition_pb2.ActionMetadata(parent=action.parent)
    if isinstance(action.spec, task_definition_pb2.TaskSpec):
        made.action_type = run_definition_pb2.ACTION_TYPE_TASK
        made.task.short_name = action.spec.short_name
        made.task.task_type = action.spec.task_template.type
    else:
        made.action_type = run_definition_pb2.ACTION_TYPE_TRACE
        made.trace.name = action.spec.name
    return made


def _shown(action: Action, kind: Any) -> Any:
    status = run_definition_pb2.ActionStatus(phase=action.phase, attempts=1)
    status.start_time.FromDatetime(action.began)
    return kind(id=action.identifier, metadata=_metadata(action), status=status)


class _Actions(actions_service_connect.ActionsService):
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def enqueue(self, request: Any, ctx: Any) -> Any:
        asked = request.action
        place = (asked.action_id, asked.parent_action_name)
        where = (asked.input_uri, asked.run_output_base)
        if asked.WhichOneof("spec") == "trace":
            ended = {"phase": asked.trace.phase, "outputs": asked.trace.outputs.output_uri}
            await self._backend.start(Action(*place, asked.trace, *where, **ended))
        else:
            await self._backend.start(Action(*place, asked.task.spec, *where))
        return actions_service_pb2.EnqueueResponse()

    async def watch_for_updates(self, request: Any, ctx: Any) -> AsyncIterator[Any]:
        parent, sent = request.parent_action_id, dict[str, Any]()
        told = False
        async for _ in self._backend.changes():
            for each in list(self._backend.actions.values()):
                if (each.run, each.parent) == (parent.run.name, parent.name) and sent.get(each.name) != each.phase:
                    sent[each.name] = each.phase
                    update = state_service_pb2.ActionUpdate(
                        action_id=each.identifier, phase=each.phase, output_uri=each.outputs
                    )
                    yield actions_service_pb2.WatchForUpdatesResponse(action_update=update)
            if not told:
                told = True
                end = state_service_pb2.ControlMessage(sentinel=True)
                yield actions_service_pb2.WatchForUpdatesResponse(control_message=end)

    async def abort(self, request: Any, ctx: Any) -> Any:
        await self._backend.abort(self._backend.find(request.action_id))
        return actions_service_pb2.AbortResponse()


class _Runs(run_service_connect.RunService):
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def create_run(self, request: Any, ctx: Any) -> Any:
        if request.WhichOneof("id") == "run_id":
            run = request.run_id
        else:
            given = request.project_id
            run = identifier_pb2.RunIdentifier(
                org="local", project=given.name, domain=given.domain, name=f"r{secrets.token_hex(8)}"
            )
        named = request.WhichOneof("task") == "task_id"
        spec = self._backend.tasks[request.task_id.name].spec if named else request.task_spec
        base = f"s3://{self._backend.bucket}/{run.project}/{run.domain}/{run.name}"
        identifier = identifier_pb2.ActionIdentifier(run=run, name="a0")
        action = Action(identifier, "", spec, request.offloaded_input_data.uri, base)
        await self._backend.start(action)
        shown = _shown(action, run_definition_pb2.Action)
        return run_service_pb2.CreateRunResponse(run=run_definition_pb2.Run(action=shown))

    async def get_run_details(self, request: Any, ctx: Any) -> Any:
        action = self._backend.find(identifier_pb2.ActionIdentifier(run=request.run_id, name="a0"))
        shown = _shown(action, run_definition_pb2.ActionDetails)
        return run_service_pb2.GetRunDetailsResponse(details=run_definition_pb2.RunDetails(action=shown))

    async def watch_action_details(self, request: Any, ctx: Any) -> AsyncIterator[Any]:
        action, sent = self._backend.find(request.action_id), None
        async for _ in self._backend.changes():
            if action.phase != sent:
                sent = action.phase
                shown = _shown(action, run_definition_pb2.ActionDetails)
                yield run_service_pb2.WatchActionDetailsResponse(details=shown)
            if action.phase in ENDED:
                return

    async def abort_run(self, request: Any, ctx: Any) -> Any:
        identifier = identifier_pb2.ActionIdentifier(run=request.run_id, name="a0")
        await self._backend.abort(self._backend.find(identifier))
        return run_service_pb2.AbortRunResponse()


class _Data(dataproxy_service_connect.DataProxyService):
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def upload_inputs(self, request: Any, ctx: Any) -> Any:
        url = f"s3://{self._backend.bucket}/inputs/{secrets.token_hex(8)}/inputs.pb"
        await self._backend.put(url, request.inputs.SerializeToString())
        stored = run_pb2.OffloadedInputData(uri=url, inputs_hash="unused")
        return dataproxy_service_pb2.UploadInputsResponse(offloaded_input_data=stored)

    async def create_upload_location(self, request: Any, ctx: Any) -> Any:
        url = f"s3://{self._backend.bucket}/uploads/{secrets.token_hex(8)}/{request.filename or 'file'}"
        signed = self._backend.signed("PUT", url)
        return dataproxy_service_pb2.CreateUploadLocationResponse(signed_url=signed, native_url=url)

    async def get_action_data(self, request: Any, ctx: Any) -> Any:
        action, found = self._backend.find(request.action_id), dataproxy_service_pb2.GetActionDataResponse()
        if action.outputs:
            found.outputs.ParseFromString(await self._backend.get(f"{action.outputs}/outputs.pb"))
        return found


class _Tasks(task_service_connect.TaskService):
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def deploy_task(self, request: Any, ctx: Any) -> Any:
        self._backend.tasks[request.task_id.name] = request
        return task_service_pb2.DeployTaskResponse()

    async def list_tasks(self, request: Any, ctx: Any) -> Any:
        tasks = [task_definition_pb2.Task(task_id=each.task_id) for each in self._backend.tasks.values()]
        return task_service_pb2.ListTasksResponse(tasks=tasks)

    async def get_task_details(self, request: Any, ctx: Any) -> Any:
        found = self._backend.tasks[request.task_id.name]
        details = task_definition_pb2.TaskDetails(task_id=found.task_id, spec=found.spec)
        return task_service_pb2.GetTaskDetailsResponse(details=details)


class _Clusters(service_connect.ClusterService):
    async def select_cluster(self, request: Any, ctx: Any) -> Any:
        return payload_pb2.SelectClusterResponse()


class _Identity(identity_connect.IdentityService):
    async def user_info(self, request: Any, ctx: Any) -> Any:
        return identity_pb2.UserInfoResponse()


class _Projects(project_service_connect.ProjectService):
    async def list_projects(self, request: Any, ctx: Any) -> Any:
        return project_service_pb2.ListProjectsResponse()


@contextmanager
def serving(backend: Backend, host: str, port: int) -> Iterator[Backend]:
    """Serve a stand-in at an address that the containers reach, until the block ends."""
    backend.url = f"http://{host}:{port}"
    served = [
        actions_service_connect.ActionsServiceASGIApplication(_Actions(backend)),
        run_service_connect.RunServiceASGIApplication(_Runs(backend)),
        dataproxy_service_connect.DataProxyServiceASGIApplication(_Data(backend)),
        task_service_connect.TaskServiceASGIApplication(_Tasks(backend)),
        service_connect.ClusterServiceASGIApplication(_Clusters()),
        identity_connect.IdentityServiceASGIApplication(_Identity()),
        project_service_connect.ProjectServiceASGIApplication(_Projects()),
    ]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for each in served:
            if scope["path"].startswith(each.path):
                await each(scope, receive, send)
                return
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    config = uvicorn.Config(app, host=host, port=port, log_level="warning", lifespan="off")
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield backend
    finally:
        server.should_exit = True
        thread.join()
