"""The key check over HTTP."""

from django.db import transaction
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView
from waffle import get_waffle_flag_model

from assembly.models import UsageRecord
from assembly.throttles import PlanThrottle


class VerifyRequest(serializers.Serializer):
    """What a caller asks."""

    feature = serializers.CharField(max_length=64)
    cost = serializers.IntegerField(min_value=1, default=1)


class VerifyView(APIView):
    """POST /verify: key valid? feature granted? limit left? Then record the use."""

    throttle_classes = [PlanThrottle]

    def get_throttles(self):
        """Keep the instances: the answer tells what is left."""
        self.throttles = super().get_throttles()
        return self.throttles

    def post(self, request):
        """Answer the decision; an admitted call leaves a usage row and its audit entry in one commit."""
        body = VerifyRequest(data=request.data)
        body.is_valid(raise_exception=True)
        key, feature = request.api_key, body.validated_data["feature"]
        flag = get_waffle_flag_model().get(feature)
        granted = flag.is_active(request) or flag.is_active_for_organization(key.organization)
        if granted:
            with transaction.atomic():
                UsageRecord.objects.create(
                    organization=key.organization,
                    api_key=key,
                    feature=feature,
                    quantity=body.validated_data["cost"],
                )
        return Response(
            {
                "valid": granted,
                "code": "VALID" if granted else "FEATURE_NOT_IN_PLAN",
                "tenant": key.organization.slug,
                "key_id": key.prefix,
                "feature": feature,
                "remaining": self.throttles[0].remaining(),
            }
        )
