"""Throttles of single tenants: a usage plan for each tenant that the config names, and one for all other tenants.

The authorizer answers the API key of the tenant's plan. Clients never send a key, so a key is no secret.
"""

import hashlib
from collections.abc import Mapping

from aws_cdk import aws_apigateway as apigateway
from constructs import Construct

from infra.config import Config
from infra.settings import Throttle

OTHERS = ""
"""The name of the plan of all tenants without a throttle of their own."""


def usage_keys(config: Config) -> dict[str, str]:
    """Return the API key of each plan by tenant, or nothing where the config throttles no single tenant."""
    tenants = [OTHERS, *config.tenant_throttles] if config.tenant_throttles else []
    return {tenant: hashlib.sha256(f"{config.prefix}:{tenant}".encode()).hexdigest() for tenant in tenants}


class TenantThrottles(Construct):
    """The usage plans of the stage."""

    def __init__(self, scope: Construct, id: str, *, config: Config, api_id: str, stage: apigateway.Stage) -> None:
        super().__init__(scope, id)
        throttles: Mapping[str, Throttle] = config.tenant_throttles
        for number, (tenant, key) in enumerate(usage_keys(config).items()):
            name = f"{config.prefix}-{tenant or 'others'}"
            made = apigateway.CfnApiKey(self, f"Key{number}", name=name, value=key, enabled=True)
            plan = apigateway.CfnUsagePlan(
                self,
                f"Plan{number}",
                usage_plan_name=name,
                api_stages=[apigateway.CfnUsagePlan.ApiStageProperty(api_id=api_id, stage=stage.stage_name)],
                throttle=_limits(throttles.get(tenant)),
            )
            apigateway.CfnUsagePlanKey(
                self, f"PlanKey{number}", key_id=made.ref, key_type="API_KEY", usage_plan_id=plan.ref
            )


def _limits(throttle: Throttle | None) -> apigateway.CfnUsagePlan.ThrottleSettingsProperty | None:
    if throttle is None:
        return None
    return apigateway.CfnUsagePlan.ThrottleSettingsProperty(rate_limit=throttle.rate, burst_limit=throttle.burst)
