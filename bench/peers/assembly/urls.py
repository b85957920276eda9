"""The assembly's one route."""

from django.urls import path

from assembly.views import VerifyView

urlpatterns = [path("verify", VerifyView.as_view())]
